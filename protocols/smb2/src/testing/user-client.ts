/** A test client that logs on as a user. It signs and seals as the test asks. */
import type { Socket } from 'node:net';
import { createSealer, createSigner, deriveKeys, PreauthHash } from '../crypto/index.ts';
import type { CipherName, Sealer, Signer, SigningAlgorithm } from '../crypto/index.ts';
import { Dialect, HeaderFlags, HEADER_SIZE, NegotiateContextType } from '../wire/constants.ts';
import {
  encodeIdList,
  encodeNegotiateContexts,
  negotiateRequest,
  preauthContext,
} from '../wire/negotiate.ts';
import { sessionSetupResponse } from '../wire/session.ts';
import { Status } from '../wire/status.ts';
import { align } from '../wire/struct.ts';
import { anonymousMessage, authenticateMessage, negotiateMessage } from './ntlm-client.ts';
import { connectSocket, RawClient, setupBody, treeConnectBody } from './raw-client.ts';
import type { RawReply, SetupOptions } from './raw-client.ts';

const NEGOTIATE = 0;
const SESSION_SETUP = 1;
const TREE_CONNECT = 3;
const SHA512 = 1;
const CIPHER_IDS = { 'aes-128-ccm': 1, 'aes-128-gcm': 2, 'aes-256-ccm': 3, 'aes-256-gcm': 4 } as const;
const SIGNING_IDS = { 'hmac-sha256': 0, 'aes-cmac': 1, 'aes-gmac': 2 } as const;
const TRANSFORM = 52;

export interface NegotiateOptions {
  readonly dialect?: Dialect;
  readonly clientGuid?: Buffer;
  readonly cipher?: CipherName;
  readonly signing?: SigningAlgorithm;
  readonly securityMode?: number;
  readonly capabilities?: number;
  /** The local address to connect from. */
  readonly from?: string;
}

export interface Protection {
  readonly sign?: boolean;
  readonly seal?: boolean;
}

export interface LogOnOptions extends SetupOptions {
  /** Undefined for an anonymous logon. */
  readonly user?: string;
  readonly password?: string;
  /** Signs the requests with the present key, as binding a channel needs. */
  readonly sign?: boolean;
}

export class UserClient extends RawClient {
  dialect: Dialect = Dialect.SMB_3_1_1;
  signing: SigningAlgorithm = 'hmac-sha256';
  cipher: CipherName | undefined;
  signer: Signer | undefined;
  sealer: Sealer | undefined;
  /** The default protection of requests. */
  protection: Protection = {};
  #preauth = new PreauthHash();

  static async connectUser(port: number, localAddress?: string): Promise<UserClient> {
    const socket: Socket = await connectSocket(port, localAddress);
    return new UserClient(socket);
  }

  protected override unseal(message: Buffer): Buffer {
    if (!this.sealer) throw new Error('sealed, and without a key');
    return this.sealer.unseal(message);
  }

  async negotiateAs(options: NegotiateOptions = {}): Promise<RawReply | undefined> {
    const { dialect = Dialect.SMB_3_1_1, cipher = 'aes-128-gcm', signing = 'aes-cmac' } = options;
    this.dialect = dialect;
    this.signing = dialect < Dialect.SMB_3_0 ? 'hmac-sha256' : 'aes-cmac';
    const seals = dialect >= Dialect.SMB_3_0;
    this.cipher = seals ? (dialect < Dialect.SMB_3_1_1 ? 'aes-128-ccm' : cipher) : undefined;
    const contexts =
      dialect < Dialect.SMB_3_1_1
        ? []
        : [
            { type: NegotiateContextType.PREAUTH_INTEGRITY, data: preauth() },
            { type: NegotiateContextType.ENCRYPTION, data: encodeIdList([CIPHER_IDS[cipher]]) },
            { type: NegotiateContextType.SIGNING, data: encodeIdList([SIGNING_IDS[signing]]) },
          ];
    if (contexts.length > 0) this.signing = signing;
    const dialects = Buffer.alloc(8 - ((HEADER_SIZE + negotiateRequest.size) % 8) || 8);
    dialects.writeUInt16LE(dialect, 0);
    const contextOffset = align(HEADER_SIZE + negotiateRequest.size + dialects.length, 8);
    const body = negotiateRequest.toBuffer(
      {
        dialectCount: 1,
        securityMode: options.securityMode ?? 1,
        capabilities: options.capabilities ?? 0x7f,
        clientGuid: options.clientGuid ?? Buffer.alloc(16, 7),
        contextOffset: contexts.length === 0 ? 0 : contextOffset,
        contextCount: contexts.length,
      },
      Buffer.concat([dialects, encodeNegotiateContexts(contexts)]),
    );
    const message = this.message(NEGOTIATE, body);
    this.#preauth.update(message);
    this.sendMessage(message);
    const reply = await this.next();
    if (reply) this.#preauth.update(reply.packet);
    return reply;
  }

  /**
   * Runs a whole SESSION_SETUP exchange and returns the last reply. After success, the client has the keys of the
   * session or channel.
   */
  async logOn(options: LogOnOptions = {}): Promise<RawReply | undefined> {
    const protection = { sign: options.sign ?? false };
    const hash = this.#preauth.clone();
    const step = async (token: Buffer): Promise<RawReply | undefined> => {
      const message = this.protect(this.message(SESSION_SETUP, setupBody(token, options)), protection);
      hash.update(message);
      this.sendMessage(message);
      const reply = await this.next();
      if (reply && reply.status !== Status.SUCCESS) hash.update(reply.packet);
      return reply;
    };
    const first = await step(negotiateMessage());
    if (first?.status !== Status.MORE_PROCESSING_REQUIRED) return first;
    this.sessionId = first.sessionId;
    const { user, password = '' } = options;
    const { securityBufferOffset, securityBufferLength } = sessionSetupResponse.decode(
      first.packet,
      HEADER_SIZE,
    );
    const challenge = first.packet.subarray(
      securityBufferOffset,
      securityBufferOffset + securityBufferLength,
    );
    const proof =
      user === undefined ? undefined : authenticateMessage(challenge, { userName: user, password });
    const last = await step(proof?.message ?? anonymousMessage());
    if (last?.status === Status.SUCCESS && proof) this.#takeKeys(proof.key, hash.value);
    return last;
  }

  #takeKeys(sessionKey: Buffer, preauthHash: Buffer): void {
    const { dialect, cipher } = this;
    const keys = deriveKeys({ dialect, sessionKey, preauthHash, cipher });
    this.signer = createSigner({ algorithm: this.signing, key: keys.signingKey });
    if (cipher && keys.encryptionKey && keys.decryptionKey)
      this.sealer ??= createSealer({
        cipher,
        // The server's encryption key is the client's decryption key.
        encryptionKey: keys.decryptionKey,
        decryptionKey: keys.encryptionKey,
        sessionId: BigInt(this.sessionId),
      });
  }

  async connectTree(share: string, protection: Protection = { sign: true }): Promise<RawReply | undefined> {
    const reply = await this.ask(TREE_CONNECT, treeConnectBody(share), protection);
    this.treeId = reply?.treeId ?? 0;
    return reply;
  }

  /** Signs or seals a message. The result is ready to be framed. */
  protect(message: Buffer, { sign = false, seal = false }: Protection = this.protection): Buffer {
    if (seal) {
      const frame = Buffer.concat([Buffer.alloc(TRANSFORM), message]);
      this.sealer!.seal(frame);
      return frame;
    }
    if (sign) {
      message.writeUInt32LE(message.readUInt32LE(16) | HeaderFlags.SIGNED, 16);
      this.signer!.sign(message);
    }
    return message;
  }

  async ask(command: number, body: Buffer, protection?: Protection): Promise<RawReply | undefined> {
    this.sendMessage(this.protect(this.message(command, body), protection));
    return await this.next();
  }

  /** Whether a reply is signed correctly. */
  isSigned(reply: RawReply): boolean {
    if ((reply.flags & HeaderFlags.SIGNED) === 0) return false;
    if (!this.signer?.verify(reply.packet)) throw new Error('the signature of a reply is wrong');
    return true;
  }
}

function preauth(): Buffer {
  const salt = Buffer.alloc(32, 5);
  return preauthContext.toBuffer(
    { hashCount: 1, saltLength: salt.length },
    Buffer.concat([Buffer.from([SHA512, 0]), salt]),
  );
}

/** A client for tests that says exactly what it is told to, right or wrong. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { Framer } from '../transport/framer.ts';
import { createRequest } from '../wire/create.ts';
import { decodeHeader, encodeHeader } from '../wire/header.ts';
import type { Header } from '../wire/header.ts';
import { HEADER_SIZE, OplockLevel } from '../wire/constants.ts';
import { encodeCreateContexts } from '../wire/create-contexts.ts';
import type { CreateContext } from '../wire/create-contexts.ts';
import { negotiateRequest } from '../wire/negotiate.ts';
import { sessionSetupRequest, treeConnectRequest } from '../wire/session.ts';
import { align } from '../wire/struct.ts';

export interface RawReply extends Header {
  readonly status: number;
  /** From the SMB2 header on. */
  readonly packet: Buffer;
}

/** NTLMSSP messages of an anonymous logon ([MS-NLMP] 2.2.1). */
const NTLM_NEGOTIATE = Buffer.from('4e544c4d535350000100000005020800' + '00'.repeat(16), 'hex');
function ntlmAnonymous(): Buffer {
  const message = Buffer.alloc(72);
  message.write('NTLMSSP\0', 'latin1');
  message.writeUInt32LE(3, 8);
  for (const field of [12, 20, 28, 36, 44, 52]) message.writeUInt32LE(72, field + 4);
  message.writeUInt32LE(0x00080205, 60);
  return message;
}

export class RawClient {
  readonly #socket: Socket;
  readonly #replies: RawReply[] = [];
  readonly #waiting: ((reply: RawReply | undefined) => void)[] = [];
  messageId = 0;
  sessionId = 0;
  treeId = 0;
  closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const framer = new Framer(
      (message) => this.#receive(Buffer.from(message)),
      () => 0xffffff,
    );
    socket.on('data', (chunk: Buffer) => framer.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      for (const wake of this.#waiting.splice(0)) wake(undefined);
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawClient(socket);
  }

  #receive(message: Buffer): void {
    const reply = { ...decodeHeader(message, 0), status: message.readUInt32LE(8), packet: message };
    const wake = this.#waiting.shift();
    if (wake) wake(reply);
    else this.#replies.push(reply);
  }

  /** The next message, or undefined when the server hung up. */
  next(): Promise<RawReply | undefined> {
    const reply = this.#replies.shift();
    if (reply) return Promise.resolve(reply);
    if (this.closed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  sendRaw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  framed(message: Buffer): Buffer {
    const frame = Buffer.alloc(4);
    frame.writeUInt32BE(message.length);
    return Buffer.concat([frame, message]);
  }

  sendMessage(message: Buffer): void {
    this.sendRaw(this.framed(message));
  }

  /** Takes no byte any more. */
  pause(): void {
    this.#socket.pause();
  }

  /** A request with the next message id, 64 credits asked for. */
  message(
    command: number,
    body: Buffer,
    overrides: Partial<{ messageId: number; flags: number }> = {},
  ): Buffer {
    const message = Buffer.alloc(HEADER_SIZE + body.length);
    encodeHeader(
      {
        creditCharge: 1,
        status: 0,
        command,
        credits: 64,
        flags: overrides.flags ?? 0,
        messageId: overrides.messageId ?? this.messageId++,
        asyncId: undefined,
        treeId: this.treeId,
        sessionId: this.sessionId,
      },
      message,
      0,
    );
    body.copy(message, HEADER_SIZE);
    return message;
  }

  async request(command: number, body: Buffer): Promise<RawReply | undefined> {
    this.sendMessage(this.message(command, body));
    return await this.next();
  }

  negotiate(dialect = 0x0302): Promise<RawReply | undefined> {
    const body = negotiateRequest.toBuffer(
      {
        dialectCount: 1,
        securityMode: 1,
        capabilities: 0x7f,
        clientGuid: Buffer.alloc(16, 7),
        contextOffset: 0,
        contextCount: 0,
      },
      Buffer.from([dialect & 0xff, dialect >> 8]),
    );
    return this.request(0, body);
  }

  /** Negotiates, logs on as guest and connects to the share. */
  async enter(share: string): Promise<void> {
    await this.negotiate();
    for (const token of [NTLM_NEGOTIATE, ntlmAnonymous()]) {
      const body = sessionSetupRequest.toBuffer(
        {
          flags: 0,
          securityMode: 1,
          capabilities: 0,
          channel: 0,
          securityBufferOffset: HEADER_SIZE + sessionSetupRequest.size,
          securityBufferLength: token.length,
          previousSessionId: 0n,
        },
        token,
      );
      this.sessionId = (await this.request(1, body))?.sessionId ?? 0;
    }
    const path = Buffer.from(`\\\\server\\${share}`, 'utf16le');
    const body = treeConnectRequest.toBuffer(
      { flags: 0, pathOffset: HEADER_SIZE + treeConnectRequest.size, pathLength: path.length },
      path,
    );
    this.treeId = (await this.request(3, body))?.treeId ?? 0;
  }

  /** Body of a CREATE that opens for reading. */
  createBody(path: string, contexts: readonly CreateContext[] = []): Buffer {
    const text = Buffer.from(path, 'utf16le');
    const chain = encodeCreateContexts(contexts);
    const name = Buffer.alloc(align(text.length, 8));
    text.copy(name);
    const contextsOffset = HEADER_SIZE + createRequest.size + name.length;
    return createRequest.toBuffer(
      {
        securityFlags: 0,
        oplockLevel: contexts.some((context) => context.name === 'RqLs') ? OplockLevel.LEASE : 0,
        impersonationLevel: 2,
        smbCreateFlags: 0n,
        desiredAccess: 0x00120089,
        fileAttributes: 0,
        shareAccess: 7,
        disposition: 1,
        options: 0,
        nameOffset: HEADER_SIZE + createRequest.size,
        nameLength: text.length,
        contextsOffset: chain.length === 0 ? 0 : contextsOffset,
        contextsLength: chain.length,
      },
      name.length + chain.length === 0 ? Buffer.alloc(1) : Buffer.concat([name, chain]),
    );
  }

  close(): void {
    this.#socket.destroy();
  }
}

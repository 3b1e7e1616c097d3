import { randomBytes } from 'node:crypto';
import { initialToken } from '../auth/index.ts';
import { PreauthHash } from '../crypto/index.ts';
import type { CipherName, SigningAlgorithm } from '../crypto/index.ts';
import { DisconnectError, fail, MalformedError } from '../errors.ts';
import type { Connection } from '../connection/connection.ts';
import { BODY, MESSAGE, reply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { ServerState } from '../registry/server-state.ts';
import type { Request } from '../request/request.ts';
import {
  Capability,
  Command,
  Dialect,
  HEADER_SIZE,
  HeaderFlags,
  NegotiateContextType,
  SecurityMode,
} from '../wire/constants.ts';
import { encodeHeader } from '../wire/header.ts';
import {
  decodeIdList,
  decodeNegotiateContexts,
  encodeIdList,
  encodeNegotiateContexts,
  negotiateRequest,
  negotiateResponse,
  preauthContext,
} from '../wire/negotiate.ts';
import type { NegotiateContext } from '../wire/negotiate.ts';
import { Status } from '../wire/status.ts';
import { align, area } from '../wire/struct.ts';
import { fileTimeOf } from '../wire/file-time.ts';

/** 2.2.3.1.2, in the server's order of preference: the GCM ciphers are the fastest here. */
const CIPHERS: readonly (readonly [number, CipherName])[] = [
  [2, 'aes-128-gcm'],
  [4, 'aes-256-gcm'],
  [1, 'aes-128-ccm'],
  [3, 'aes-256-ccm'],
];
/** 2.2.3.1.7 */
const SIGNING: readonly (readonly [number, SigningAlgorithm])[] = [
  [2, 'aes-gmac'],
  [1, 'aes-cmac'],
  [0, 'hmac-sha256'],
];
const SHA512 = 1;
const POSIX_GUID = Buffer.from('93ad25509cb411e7b42383de968bcd7c', 'hex');
const MOST_CONTEXTS = 16;
const MOST_DIALECTS = 64;

/** [MS-SMB2] 3.3.5.4 */
export function negotiate(request: Request, server: ServerState): Reply {
  const { connection, packet } = request;
  if (connection.negotiated.dialect !== undefined) throw new DisconnectError('a second NEGOTIATE');
  const body = negotiateRequest.decode(packet, HEADER_SIZE);
  if (body.dialectCount === 0 || body.dialectCount > MOST_DIALECTS) return fail(Status.INVALID_PARAMETER);
  const list = area(packet, HEADER_SIZE + negotiateRequest.size, 2 * body.dialectCount, HEADER_SIZE);
  const offered = Array.from({ length: body.dialectCount }, (_, index) => list.readUInt16LE(2 * index));
  const { dialects } = connection.context.settings;
  const dialect = Math.max(0, ...offered.filter((one) => dialects.includes(one))) as Dialect | 0;
  if (dialect === 0) return fail(Status.NOT_SUPPORTED);

  connection.negotiated.clientGuid = body.clientGuid;
  connection.negotiated.clientCapabilities = body.capabilities;
  connection.negotiated.clientSecurityMode = body.securityMode;
  connection.negotiated.clientDialects = offered;
  const contexts =
    dialect === Dialect.SMB_3_1_1
      ? chooseContexts(connection, packet, body.contextOffset, body.contextCount)
      : chooseByDialect(connection, dialect, body.capabilities);
  connection.negotiated.dialect = dialect;
  connection.negotiated.capabilities = capabilitiesFor(connection, dialect, server);
  if (dialect === Dialect.SMB_3_1_1) {
    connection.negotiated.preauthHash = new PreauthHash();
    connection.negotiated.preauthHash.update(packet);
  }
  return negotiateReply(connection, dialect, contexts);
}

function capabilitiesFor(connection: Connection, dialect: Dialect, server: ServerState): number {
  if (dialect === Dialect.SMB_2_0_2) return 0;
  let capabilities = Capability.LEASING | Capability.LARGE_MTU;
  // Only for clients that ask for it (3.3.5.4): some others fail on it.
  if (dialect >= Dialect.SMB_3_0)
    capabilities |= connection.negotiated.clientCapabilities & Capability.DIRECTORY_LEASING;
  // Multichannel needs network interfaces to tell clients about.
  if (dialect >= Dialect.SMB_3_0 && connection.context.settings.interfaces)
    capabilities |= connection.negotiated.clientCapabilities & Capability.MULTI_CHANNEL;
  if (
    dialect >= Dialect.SMB_3_0 &&
    server.shares.some(({ options }) => options.continuouslyAvailable === true)
  )
    capabilities |= connection.negotiated.clientCapabilities & Capability.PERSISTENT_HANDLES;
  // Dialect 3.1.1 has a negotiate context for the cipher (3.3.5.4).
  if (dialect >= Dialect.SMB_3_0 && dialect < Dialect.SMB_3_1_1 && connection.negotiated.cipher)
    capabilities |= Capability.ENCRYPTION;
  return capabilities;
}

function chooseByDialect(
  connection: Connection,
  dialect: number,
  clientCapabilities: number,
): NegotiateContext[] {
  if (dialect < Dialect.SMB_3_0) return [];
  connection.negotiated.signingAlgorithm = 'aes-cmac';
  const canEncrypt = (clientCapabilities & Capability.ENCRYPTION) !== 0;
  if (canEncrypt && connection.context.settings.encryption !== 'off')
    connection.negotiated.cipher = 'aes-128-ccm';
  return [];
}

/** Makes the contexts of the reply. Stores the choices in the connection. */
function chooseContexts(
  connection: Connection,
  packet: Buffer,
  offset: number,
  count: number,
): NegotiateContext[] {
  if (count > MOST_CONTEXTS || offset < HEADER_SIZE + negotiateRequest.size)
    return fail(Status.INVALID_PARAMETER);
  const offered = decodeNegotiateContexts(packet, offset, count);
  const of = (type: number): Buffer | undefined => {
    const matches = offered.filter((context) => context.type === type);
    return matches.length > 1 ? fail(Status.INVALID_PARAMETER) : matches[0]?.data;
  };
  const preauth = of(NegotiateContextType.PREAUTH_INTEGRITY);
  if (!preauth) return fail(Status.INVALID_PARAMETER);
  const { hashCount } = preauthContext.decode(preauth);
  const hashes = area(preauth, preauthContext.size, 2 * hashCount, preauthContext.size);
  if (hashCount === 0) return fail(Status.INVALID_PARAMETER);
  if (!Array.from({ length: hashCount }, (_, index) => hashes.readUInt16LE(2 * index)).includes(SHA512))
    return fail(Status.NO_PREAUTH_INTEGRITY_HASH_OVERLAP);
  const salt = randomBytes(32);
  const algorithm = Buffer.from([SHA512, 0]);
  const chosen: NegotiateContext[] = [
    {
      type: NegotiateContextType.PREAUTH_INTEGRITY,
      data: preauthContext.toBuffer(
        { hashCount: 1, saltLength: salt.length },
        Buffer.concat([algorithm, salt]),
      ),
    },
  ];
  const ciphers = of(NegotiateContextType.ENCRYPTION);
  if (ciphers) chosen.push(chooseCipher(connection, decodeIdList(ciphers)));
  const signings = of(NegotiateContextType.SIGNING);
  connection.negotiated.signingAlgorithm = 'aes-cmac';
  if (signings) chosen.push(...chooseSigning(connection, decodeIdList(signings)));
  const posix = of(NegotiateContextType.POSIX);
  if (posix) {
    connection.negotiated.posix = true;
    chosen.push({ type: NegotiateContextType.POSIX, data: POSIX_GUID });
  }
  return chosen;
}

function chooseCipher(connection: Connection, offered: readonly number[]): NegotiateContext {
  const isOff = connection.context.settings.encryption === 'off';
  const [id, name] = (isOff ? undefined : CIPHERS.find(([one]) => offered.includes(one))) ?? [0, undefined];
  connection.negotiated.cipher = name;
  return { type: NegotiateContextType.ENCRYPTION, data: encodeIdList([id]) };
}

function chooseSigning(connection: Connection, offered: readonly number[]): NegotiateContext[] {
  const chosen = SIGNING.find(([one]) => offered.includes(one));
  if (!chosen) return [];
  connection.negotiated.signingAlgorithm = chosen[1];
  return [{ type: NegotiateContextType.SIGNING, data: encodeIdList([chosen[0]]) }];
}

function negotiateReply(
  connection: Connection,
  dialect: Dialect | typeof Dialect.WILDCARD,
  contexts: readonly NegotiateContext[],
): Reply {
  const { limits, settings, startTime } = connection.context;
  // A request above 64 KiB costs several credits, which dialect 2.0.2 does not have.
  const most = (limit: number): number => (dialect === Dialect.SMB_2_0_2 ? Math.min(limit, 65_536) : limit);
  connection.negotiated.securityMode =
    settings.signing === 'off'
      ? 0
      : SecurityMode.SIGNING_ENABLED | (settings.signing === 'required' ? SecurityMode.SIGNING_REQUIRED : 0);
  const token = initialToken();
  const tokenOffset = HEADER_SIZE + negotiateResponse.size;
  const contextOffset = align(tokenOffset + token.length, 8);
  const padding = Buffer.alloc(contexts.length === 0 ? 0 : contextOffset - tokenOffset - token.length);
  return reply(
    negotiateResponse,
    {
      securityMode: connection.negotiated.securityMode,
      dialect,
      contextCount: contexts.length,
      serverGuid: settings.serverGuid,
      capabilities: connection.negotiated.capabilities,
      maxTransactSize: most(limits.maxTransactSize),
      maxReadSize: most(limits.maxReadSize),
      maxWriteSize: most(limits.maxWriteSize),
      systemTime: fileTimeOf(Date.now()),
      serverStartTime: fileTimeOf(startTime),
      securityBufferOffset: tokenOffset,
      securityBufferLength: token.length,
      contextOffset: contexts.length === 0 ? 0 : contextOffset,
    },
    Buffer.concat([token, padding, encodeNegotiateContexts(contexts)]),
  );
}

const SMB_COM_NEGOTIATE = 0x72;
const SMB1_HEADER = 32;

/** An SMB1 NEGOTIATE that offers SMB2 dialects ([MS-SMB2] 3.3.5.3). */
export function negotiateSmb1(connection: Connection, frame: Buffer): void {
  if (connection.negotiated.dialect !== undefined || connection.negotiated.wildcard)
    throw new MalformedError('SMB1 after NEGOTIATE');
  if (frame.length < SMB1_HEADER + 3 || frame[4] !== SMB_COM_NEGOTIATE) throw new MalformedError('SMB1');
  const names = frame
    .subarray(SMB1_HEADER + 3)
    .toString('latin1')
    .split('\0')
    .map((name) => name.replace('\x02', ''));
  const { dialects } = connection.context.settings;
  const isWildcard = names.includes('SMB 2.???') && dialects.some((dialect) => dialect > Dialect.SMB_2_0_2);
  const isPlain = names.includes('SMB 2.002') && dialects.includes(Dialect.SMB_2_0_2);
  if (!isWildcard && !isPlain) throw new MalformedError('an SMB1 client without SMB2 dialects');
  connection.credits.use(0, 1);
  if (isWildcard) connection.negotiated.wildcard = true;
  else connection.negotiated.dialect = Dialect.SMB_2_0_2;
  const body = negotiateReply(connection, isWildcard ? Dialect.WILDCARD : Dialect.SMB_2_0_2, []);
  encodeHeader(
    {
      creditCharge: 0,
      status: 0,
      command: Command.NEGOTIATE,
      credits: connection.credits.grant(1),
      flags: HeaderFlags.SERVER_TO_REDIR,
      messageId: 0,
      asyncId: undefined,
      treeId: 0,
      sessionId: 0,
    },
    body.buffer,
    MESSAGE,
  );
  connection.send({ buffer: body.buffer, end: BODY + body.length, sealer: undefined });
}

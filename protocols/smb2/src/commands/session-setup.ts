import { setTimeout as sleep } from 'node:timers/promises';
import { AuthError, AuthExchange } from '../auth/index.ts';
import type { AuthResult } from '../auth/index.ts';
import { createSealer, createSigner, deriveKeys } from '../crypto/index.ts';
import { StatusError } from '../errors.ts';
import { dataOffset, reply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import { Session } from '../session/session.ts';
import type { Setup } from '../connection/setup.ts';
import type { ServerSettings } from '../context/settings.ts';
import type { ServerState } from '../registry/server-state.ts';
import { isSameIdentity, isUnproven } from '../share/identity.ts';
import { HEADER_SIZE, SecurityMode, SessionFlags } from '../wire/constants.ts';
import { bindChannel, sessionToBind } from './session-bind.ts';
import { SESSION_FLAG_BINDING, sessionSetupRequest, sessionSetupResponse } from '../wire/session.ts';
import { Status } from '../wire/status.ts';
import type { NtStatus } from '../wire/status.ts';
import { area } from '../wire/struct.ts';

type AuthDone = Extract<AuthResult, { done: true }>;

/** [MS-SMB2] 3.3.5.5 */
export async function sessionSetup(request: Request, server: ServerState): Promise<Reply> {
  const { connection, context, packet, header } = request;
  const body = sessionSetupRequest.decode(packet, HEADER_SIZE);
  const token = area(
    packet,
    body.securityBufferOffset,
    body.securityBufferLength,
    HEADER_SIZE + sessionSetupRequest.size,
  );
  if (context.settings.encryption === 'required' && connection.negotiated.cipher === undefined)
    throw new StatusError(Status.ACCESS_DENIED);
  const isFirst = !connection.setups.has(header.sessionId);
  if (isFirst) server.checkSetups(connection);
  const binds = (body.flags & SESSION_FLAG_BINDING) !== 0;
  const session = binds ? sessionToBind(request, server) : begunOrContinued(request, server);
  const setup = setupOf(request, server, session);
  if (!isFirst) await waitForTurn(request, server);
  if (connection.setups.get(session.id) !== setup) throw new StatusError(Status.USER_SESSION_DELETED);

  let result: AuthResult;
  try {
    result = setup.exchange.step(token);
  } catch (error) {
    forgetSetup(request, server, session, setup);
    return refuse(request, server, error, binds ? undefined : session);
  }
  if (!result.done) return answer(0, result.reply, Status.MORE_PROCESSING_REQUIRED);
  forgetSetup(request, server, session, setup);
  if (binds) bindChannel(request, session, setup, result);
  else if (session.state === 'valid') reauthenticate(session, result);
  else establish(request, session, setup, result, body.securityMode);
  if (!binds) endPrevious(server, session, Number(body.previousSessionId));
  return answer(sessionFlags(session), result.reply, Status.SUCCESS);
}

const begunOrContinued = (request: Request, server: ServerState): Session =>
  request.header.sessionId === 0 ? begin(request, server) : continued(request);

function begin(request: Request, server: ServerState): Session {
  const { connection, context } = request;
  if (connection.sessions.size >= context.limits.maxSessionsPerConnection)
    throw new StatusError(Status.INSUFFICIENT_RESOURCES);
  const session = new Session(server.newSessionId(), context, server, connection);
  connection.sessions.set(session.id, session);
  server.sessions.set(session.id, session);
  request.sessionOrUndefined = session;
  request.chain.session = session;
  return session;
}

function continued(request: Request): Session {
  const session = request.connection.sessions.get(request.header.sessionId);
  if (session) return session;
  throw new StatusError(Status.USER_SESSION_DELETED);
}

/**
 * Returns the authentication that this request starts or continues. Its hash covers the request, and the reply once it
 * is sent.
 */
function setupOf(request: Request, server: ServerState, session: Session): Setup {
  const { connection, context, packet } = request;
  let setup = connection.setups.get(session.id);
  if (!setup) {
    setup = {
      exchange: newExchange(context.settings, server),
      startedAt: performance.now(),
      preauthHash: connection.negotiated.preauthHash?.clone(),
    };
    connection.setups.set(session.id, setup);
    server.setupBegun(connection, session.id, setup);
  }
  setup.preauthHash?.update(packet);
  request.setup = setup;
  return setup;
}

function forgetSetup({ connection }: Request, server: ServerState, session: Session, setup: Setup): void {
  if (connection.setups.delete(session.id)) server.setupEnded(setup);
}

/** After too many failed logons from an address, handles its logons one at a time with a delay between them. */
async function waitForTurn(request: Request, server: ServerState): Promise<void> {
  const { address } = request.connection;
  const delay = server.throttle.turn(address);
  if (delay === undefined) throw new StatusError(Status.INSUFFICIENT_RESOURCES);
  if (delay === 0) return;
  await Promise.race([sleep(delay, undefined, { ref: false }), request.whenAbandoned()]);
  server.throttle.turnTaken(address);
  request.throwIfAbandoned();
}

function newExchange({ serverName, domain }: ServerSettings, server: ServerState): AuthExchange {
  const { users, allowsGuests } = server;
  return new AuthExchange({
    users,
    serverName,
    domain,
    allowGuest: allowsGuests,
    allowAnonymous: allowsGuests,
    // Unknown users become guests where guests are allowed, as with `map to guest = bad user` in smbd.
    mapUnknownToGuest: allowsGuests,
  });
}

/** @param session ends when the proof is wrong. Undefined when binding a channel: then no session ends. */
function refuse(request: Request, server: ServerState, error: unknown, session: Session | undefined): never {
  if (!(error instanceof AuthError)) throw error;
  const { connection, context } = request;
  const { address, port } = connection;
  const status: NtStatus = error.status;
  server.throttle.failed(address);
  context.hooks.logonRefused?.({ address, port, userName: error.userName ?? '', status });
  // A malformed token does not end a valid session. A wrong proof does.
  if (session?.state !== 'valid' || status !== Status.INVALID_PARAMETER) session?.close(true);
  throw new StatusError(status, { cause: error });
}

/** Derives the keys and makes the session valid (3.3.5.5.3). */
function establish(
  { connection, context }: Request,
  session: Session,
  { preauthHash }: Setup,
  result: AuthDone,
  clientSecurityMode: number,
): void {
  const { settings, hooks } = context;
  const { cipher, signingAlgorithm, clientSecurityMode: earlierMode } = connection.negotiated;
  session.identity = result.identity;
  if (result.sessionKey && !isUnproven(result.identity)) {
    const { dialect } = session;
    const { sessionKey } = result;
    const keys = deriveKeys({ dialect, sessionKey, preauthHash: preauthHash?.value, cipher });
    session.channelOf(connection)!.signer = createSigner({
      algorithm: signingAlgorithm,
      key: keys.signingKey,
    });
    if (cipher && keys.encryptionKey && keys.decryptionKey)
      session.sealer = createSealer({
        cipher,
        encryptionKey: keys.encryptionKey,
        decryptionKey: keys.decryptionKey,
        sessionId: BigInt(session.id),
      });
    const isWanted = ((clientSecurityMode | earlierMode) & SecurityMode.SIGNING_REQUIRED) !== 0;
    session.signingRequired = settings.signing === 'required' || isWanted;
  }
  session.encryptData = settings.encryption === 'required';
  if (session.encryptData && !session.sealer) {
    // Guests have no key for encryption.
    session.close(false);
    throw new StatusError(Status.ACCESS_DENIED);
  }
  session.state = 'valid';
  hooks.sessionOpened?.(session.event());
}

/**
 * A valid session authenticates again and keeps its keys ([MS-SMB2] 3.3.5.5.3). A guest session has no keys, so it
 * cannot become a user's session, which must be able to sign and encrypt.
 */
function reauthenticate(session: Session, { identity }: AuthDone): void {
  if (!isUnproven(identity) && !session.hasKey) {
    session.close(true);
    throw new StatusError(Status.ACCESS_DENIED);
  }
  session.identity = identity;
}

/**
 * Ends the client's previous session, whose connection was lost before the server noticed (3.3.5.5.3). Users have
 * proved their identity. Guests have not: only the client that began the session may end it.
 */
function endPrevious(server: ServerState, session: Session, previousId: number): void {
  const previous = server.sessions.get(previousId);
  if (previous === undefined || previous === session || previous.state !== 'valid') return;
  if (!isSameIdentity(previous.identity, session.identity)) return;
  if (session.hasKey || previous.clientGuid.equals(session.clientGuid)) previous.close(true);
}

function sessionFlags(session: Session): number {
  const { identity } = session;
  if (identity.anonymous) return SessionFlags.IS_NULL;
  if (identity.guest) return SessionFlags.IS_GUEST;
  return session.encryptData ? SessionFlags.ENCRYPT_DATA : 0;
}

function answer(flags: number, token: Buffer, status: NtStatus): Reply {
  return reply(
    sessionSetupResponse,
    {
      sessionFlags: flags,
      securityBufferOffset: dataOffset(sessionSetupResponse.size),
      securityBufferLength: token.length,
    },
    token,
    status,
  );
}

import { setTimeout as sleep } from 'node:timers/promises';
import { AuthError, AuthExchange } from '../auth/index.ts';
import type { AuthResult } from '../auth/index.ts';
import { createSealer, createSigner, deriveKeys } from '../crypto/index.ts';
import { StatusError } from '../errors.ts';
import { dataOffset, reply } from '../session/reply.ts';
import type { Reply } from '../session/reply.ts';
import type { Request } from '../session/request.ts';
import { Session } from '../session/session.ts';
import { Dialect, HEADER_SIZE, HeaderFlags, SecurityMode, SessionFlags } from '../wire/constants.ts';
import { SESSION_FLAG_BINDING, sessionSetupRequest, sessionSetupResponse } from '../wire/session.ts';
import { Status } from '../wire/status.ts';
import type { NtStatus } from '../wire/status.ts';
import { area } from '../wire/struct.ts';

type AuthDone = Extract<AuthResult, { done: true }>;

/** [MS-SMB2] 3.3.5.5 */
export async function sessionSetup(request: Request): Promise<Reply> {
  const { connection, packet, header, server } = request;
  const body = sessionSetupRequest.decode(packet, HEADER_SIZE);
  const token = area(
    packet,
    body.securityBufferOffset,
    body.securityBufferLength,
    HEADER_SIZE + sessionSetupRequest.size,
  );
  // Binding needs SMB2_GLOBAL_CAP_MULTI_CHANNEL, which is not offered (3.3.5.5 step 2).
  if ((body.flags & SESSION_FLAG_BINDING) !== 0) return refuseBinding(request);
  if (server.settings.encryption === 'required' && connection.cipher === undefined)
    throw new StatusError(Status.ACCESS_DENIED);
  const session = header.sessionId === 0 ? begin(request) : continued(request);
  observe(session, packet);

  let result: AuthResult;
  try {
    session.exchange ??= new AuthExchange({
      users: server.users,
      serverName: server.settings.serverName,
      domain: server.settings.domain,
      allowGuest: server.allowsGuests,
      allowAnonymous: server.allowsGuests,
      // Names that nobody has are guests' where there are guests, as with smbd's `map to guest = bad user`.
      mapUnknownToGuest: server.allowsGuests,
    });
    result = session.exchange.step(token);
  } catch (error) {
    session.exchange = undefined;
    return refuse(request, session, error);
  }
  if (!result.done) return answer(0, result.reply, Status.MORE_PROCESSING_REQUIRED);
  session.exchange = undefined;
  server.throttle.succeeded(connection.address);
  if (session.state === 'valid') reauthenticate(session, result);
  else establish(session, result, body.securityMode);
  endPrevious(session, Number(body.previousSessionId));
  return answer(sessionFlags(session), result.reply, Status.SUCCESS);
}

/**
 * A session of another connection: what is answered is signed with its key, provided the client has shown that it
 * knows that key. Returns whether there is such a session.
 */
function recogniseForeign(request: Request): boolean {
  const { header, server, packet } = request;
  const session = server.sessions.get(header.sessionId);
  if (session?.state !== 'valid') return false;
  const isSigned = (header.flags & HeaderFlags.SIGNED) !== 0;
  if (isSigned && session.signer?.verify(packet) === true) request.sessionOrUndefined = session;
  return true;
}

function refuseBinding(request: Request): never {
  const isKnown = recogniseForeign(request);
  throw new StatusError(isKnown ? Status.REQUEST_NOT_ACCEPTED : Status.USER_SESSION_DELETED);
}

function begin(request: Request): Session {
  const { connection, server } = request;
  if (connection.sessions.size >= server.limits.maxSessionsPerConnection)
    throw new StatusError(Status.INSUFFICIENT_RESOURCES);
  const session = new Session(server.newSessionId(), connection);
  connection.sessions.set(session.id, session);
  server.sessions.set(session.id, session);
  request.sessionOrUndefined = session;
  request.chain.session = session;
  return session;
}

function continued(request: Request): Session {
  const session = request.connection.sessions.get(request.header.sessionId);
  if (session) return session;
  recogniseForeign(request);
  throw new StatusError(Status.USER_SESSION_DELETED);
}

/** The pre-authentication hash covers each SESSION_SETUP of a session being set up; its reply is added when sent. */
function observe(session: Session, packet: Buffer): void {
  const { connection } = session;
  if (connection.dialect !== Dialect.SMB_3_1_1) return;
  if (session.exchange === undefined || !session.preauthHash)
    session.preauthHash = connection.preauthHash?.clone();
  session.preauthHash?.update(packet);
}

async function refuse(request: Request, session: Session, error: unknown): Promise<never> {
  if (!(error instanceof AuthError)) throw error;
  const { connection, server } = request;
  const status: NtStatus = error.status;
  server.throttle.failed(connection.address);
  server.hooks.logonRefused?.({
    address: connection.address,
    port: connection.port,
    userName: error.userName ?? '',
    status,
  });
  const delay = server.throttle.delay(connection.address);
  if (delay > 0) await sleep(delay, undefined, { ref: false });
  // Junk does not end a session that is valid; a wrong proof does.
  if (session.state !== 'valid' || status !== Status.INVALID_PARAMETER) session.close(true);
  throw new StatusError(status, { cause: error });
}

/** Derives the keys and opens the session (3.3.5.5.3). */
function establish(session: Session, result: AuthDone, clientSecurityMode: number): void {
  const { connection } = session;
  const { settings } = connection.server;
  const dialect = connection.dialect!;
  session.identity = result.identity;
  const isNamed = !result.identity.guest && !result.identity.anonymous;
  if (result.sessionKey && isNamed) {
    const keys = deriveKeys({
      dialect,
      sessionKey: result.sessionKey,
      preauthHash: session.preauthHash?.value,
      cipher: connection.cipher,
    });
    session.signer = createSigner({ algorithm: connection.signingAlgorithm, key: keys.signingKey });
    if (connection.cipher && keys.encryptionKey && keys.decryptionKey)
      session.sealer = createSealer({
        cipher: connection.cipher,
        encryptionKey: keys.encryptionKey,
        decryptionKey: keys.decryptionKey,
        sessionId: BigInt(session.id),
      });
    const isWanted =
      ((clientSecurityMode | connection.clientSecurityMode) & SecurityMode.SIGNING_REQUIRED) !== 0;
    session.signingRequired = settings.signing === 'required' || isWanted;
  }
  session.encryptData = settings.encryption === 'required';
  if (session.encryptData && !session.sealer) {
    // Guests have no key to seal with.
    session.close(false);
    throw new StatusError(Status.ACCESS_DENIED);
  }
  session.state = 'valid';
  connection.server.hooks.sessionOpened?.(session.event());
}

/**
 * A valid session authenticates anew: its keys stay ([MS-SMB2] 3.3.5.5.3). A guest's has none, so it cannot become a user's, who
 * could then neither sign nor seal.
 */
function reauthenticate(session: Session, result: AuthDone): void {
  const isNamed = !result.identity.guest && !result.identity.anonymous;
  if (isNamed && !session.hasKey) {
    session.close(true);
    throw new StatusError(Status.ACCESS_DENIED);
  }
  session.identity = result.identity;
}

/**
 * The client lost its old connection before the server noticed (3.3.5.5.3). A user has proved to be the same one. Guests have
 * proved nothing: only the machine that began the session ends it.
 */
function endPrevious(session: Session, previousId: number): void {
  const previous = session.connection.server.sessions.get(previousId);
  if (previous === undefined || previous === session || previous.state !== 'valid') return;
  const { identity: was } = previous;
  const { identity: is } = session;
  if (was.userName !== is.userName || was.guest !== is.guest || was.anonymous !== is.anonymous) return;
  const isSameMachine = previous.connection.clientGuid.equals(session.connection.clientGuid);
  if (session.hasKey || isSameMachine) previous.close(true);
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

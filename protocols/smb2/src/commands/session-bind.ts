/** Binds a session to another connection of its client, as a channel ([MS-SMB2] 3.3.5.5.2). */
import type { AuthResult } from '../auth/index.ts';
import type { Connection } from '../connection/connection.ts';
import type { Setup } from '../connection/setup.ts';
import { createSigner, deriveKeys } from '../crypto/index.ts';
import { fail } from '../errors.ts';
import type { ServerState } from '../registry/server-state.ts';
import type { Request } from '../request/request.ts';
import type { Session } from '../session/session.ts';
import { allowsAddress } from '../share/volume.ts';
import { isSameIdentity, isUnproven } from '../share/identity.ts';
import { Capability, Dialect, HeaderFlags } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';

type AuthDone = Extract<AuthResult, { done: true }>;

/**
 * For a request on a session that is not on this connection. If the client has signed it with the session's key, the
 * reply is signed with that key too, so that the client trusts the error.
 */
export function recogniseForeign(request: Request, server: ServerState): void {
  const { header, packet } = request;
  const session = server.sessions.get(header.sessionId);
  if (session?.state !== 'valid' || (header.flags & HeaderFlags.SIGNED) === 0) return;
  const signer = session.channels[0]?.signer;
  if (signer?.verify(packet) === true) request.foreignSigner = signer;
}

/** Returns the session to bind, after checks. Until the new channel has its key, replies are signed with the session's key. */
export function sessionToBind(request: Request, server: ServerState): Session {
  const { connection, header, context } = request;
  const session = server.sessions.get(header.sessionId);
  if (session?.state !== 'valid') return fail(Status.USER_SESSION_DELETED);
  checkTerms(connection, session);
  if ((header.flags & HeaderFlags.SIGNED) === 0) return fail(Status.INVALID_PARAMETER);
  if (connection.sessions.has(session.id)) return fail(Status.REQUEST_NOT_ACCEPTED);
  if (!request.foreignSigner) return fail(Status.ACCESS_DENIED);
  if (session.channels.length >= context.limits.maxChannelsPerSession)
    return fail(Status.INSUFFICIENT_RESOURCES);
  request.sessionOrUndefined = session;
  return session;
}

/**
 * Both connections must agree on signing and encryption of the session. The session's key and the password both prove
 * the user, so the ClientGuid may differ.
 */
function checkTerms({ negotiated }: Connection, session: Session): void {
  const { negotiated: terms } = session;
  const { dialect = 0, signingAlgorithm, cipher, capabilities } = negotiated;
  if (terms.signingAlgorithm !== signingAlgorithm) {
    if (terms.signingAlgorithm === 'aes-gmac') fail(Status.REQUEST_OUT_OF_SEQUENCE);
    if (signingAlgorithm === 'aes-gmac') fail(Status.NOT_SUPPORTED);
  }
  if (dialect < Dialect.SMB_3_0 || (capabilities & Capability.MULTI_CHANNEL) === 0)
    fail(Status.REQUEST_NOT_ACCEPTED);
  if (isUnproven(session.identity)) fail(Status.NOT_SUPPORTED);
  if (session.dialect !== dialect || terms.cipher !== cipher) fail(Status.INVALID_PARAMETER);
}

/** Called when the user has authenticated again. The channel gets the signing key of this authentication. */
export function bindChannel(request: Request, session: Session, setup: Setup, result: AuthDone): void {
  const { connection } = request;
  const { sessionKey, identity } = result;
  if (session.state !== 'valid') fail(Status.USER_SESSION_DELETED);
  if (!sessionKey || !isSameIdentity(session.identity, identity)) return fail(Status.ACCESS_DENIED);
  // A client must not use a bound session to reach a share from an address that the share refuses.
  for (const { share } of session.trees.values())
    if (share && !allowsAddress(share.options, connection.address)) return fail(Status.ACCESS_DENIED);
  const { signingAlgorithm, cipher } = connection.negotiated;
  const keys = deriveKeys({
    dialect: session.dialect,
    sessionKey,
    preauthHash: setup.preauthHash?.value,
    cipher,
  });
  const signer = createSigner({ algorithm: signingAlgorithm, key: keys.signingKey });
  session.addChannel(connection, signer);
  connection.sessions.set(session.id, session);
  request.sessionOrUndefined = session;
  request.foreignSigner = undefined;
}

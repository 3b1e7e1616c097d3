import type { CachingClient } from '../file/granting.ts';
import type { ServerState } from '../registry/server-state.ts';
import type { Request } from '../request/request.ts';

/** The client of a request, as the functions that grant caching need it. */
export const cachingClient = (
  { session, context, dialect }: Request,
  server: ServerState,
): CachingClient => ({
  leases: server.leases,
  clientGuid: session.clientGuid,
  dialect,
  breakTimeoutMs: context.limits.oplockBreakTimeoutMs,
});

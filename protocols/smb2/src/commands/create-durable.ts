import type { Open } from '../open/open.ts';
import type { Request } from '../request/request.ts';
import { LeaseState } from '../wire/constants.ts';
import type { DurableRequest } from './create-contexts/request.ts';

const { READ, WRITE, HANDLE } = LeaseState;

/**
 * Makes an open durable if its caching protects it: a batch oplock or a lease with HANDLE ([MS-SMB2] 3.3.5.9.6,
 * 3.3.5.9.10). Directories are not.
 */
export function requestDurability(request: Request, open: Open, wanted: DurableRequest | undefined): void {
  if (!wanted || open.isDirectory || !open.caching) return;
  const { limits } = request.context;
  const needed = open.caching.kind === 'lease' ? HANDLE : READ | WRITE | HANDLE;
  if ((open.caching.state & needed) !== needed) return;
  const timeoutMs =
    wanted.timeoutMs === 0 ? limits.durableTimeoutMs : Math.min(wanted.timeoutMs, limits.maxDurableTimeoutMs);
  open.durable = {
    version: wanted.version,
    timeoutMs,
    createGuid: wanted.createGuid,
    userName: request.session.identity.userName.toLowerCase(),
    clientGuid: request.session.clientGuid,
  };
}

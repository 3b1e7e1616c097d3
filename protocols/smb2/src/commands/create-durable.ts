import type { Open } from '../open/open.ts';
import type { Request } from '../request/request.ts';
import { LeaseState } from '../wire/constants.ts';
import type { DurableRequest } from './create-contexts/request.ts';

const { READ, WRITE, HANDLE } = LeaseState;

/**
 * Makes an open durable if a batch oplock or a lease with HANDLE protects it ([MS-SMB2] 3.3.5.9.6, 3.3.5.9.10). A
 * persistent open needs no protection. Directories do not become durable.
 */
export function requestDurability(request: Request, open: Open, wanted: DurableRequest | undefined): void {
  if (!wanted || open.isDirectory) return;
  const { limits } = request.context;
  const persistent = wanted.persistent && open.share.options.continuouslyAvailable === true;
  if (!persistent && !isProtected(open)) return;
  const timeoutMs =
    wanted.timeoutMs === 0 ? limits.durableTimeoutMs : Math.min(wanted.timeoutMs, limits.maxDurableTimeoutMs);
  open.durable = {
    version: wanted.version,
    persistent,
    timeoutMs,
    createGuid: wanted.createGuid,
    userName: request.session.identity.userName.toLowerCase(),
    clientGuid: request.session.clientGuid,
  };
}

function isProtected({ caching }: Open): boolean {
  if (!caching) return false;
  const needed = caching.kind === 'lease' ? HANDLE : READ | WRITE | HANDLE;
  return (caching.state & needed) === needed;
}

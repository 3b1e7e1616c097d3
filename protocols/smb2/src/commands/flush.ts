import { fail } from '../errors.ts';
import { emptyReply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import { Access } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';

/** [MS-SMB2] 3.3.5.11 */
export async function flush(request: Request): Promise<Reply> {
  const open = request.anyOpen;
  if (open.kind === 'pipe') return emptyReply();
  if ((open.grantedAccess & (Access.WRITE_DATA | Access.APPEND_DATA)) === 0) {
    // Clients may flush a file that they cannot write. On a read-only share there is nothing to do.
    return open.share.readOnly ? emptyReply() : fail(Status.ACCESS_DENIED);
  }
  if (open.backend) await open.share.backend.changes?.flush(open.backend, request);
  return emptyReply();
}

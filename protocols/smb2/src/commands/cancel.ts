import type { Request } from '../request/request.ts';
import { HeaderFlags } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';

/** [MS-SMB2] 3.3.5.16: CANCEL has no reply. The request that it cancels gets one. */
export function cancel(request: Request): undefined {
  const { connection, header } = request;
  const target =
    (header.flags & HeaderFlags.ASYNC_COMMAND) === 0
      ? connection.running.get(header.messageId)
      : connection.async.get(header.asyncId);
  if (target?.sessionOrUndefined === request.sessionOrUndefined) target?.abandon(Status.CANCELLED);
}

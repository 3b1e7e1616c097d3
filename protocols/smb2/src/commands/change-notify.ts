import { fail } from '../errors.ts';
import { NotifyQueue } from '../open/notify.ts';
import { outputReply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import { Access, HEADER_SIZE } from '../wire/constants.ts';
import { changeNotifyRequest, WATCH_TREE } from '../wire/query.ts';
import { isError, Status } from '../wire/status.ts';

/**
 * [MS-SMB2] 3.3.5.19: the first request on an open sets filter and depth for all later ones. Unknown filter bits match
 * no event.
 */
export async function changeNotify(request: Request): Promise<Reply> {
  const { packet, context, session, open } = request;
  const body = changeNotifyRequest.decode(packet, HEADER_SIZE);
  if (body.outputBufferLength > context.limits.maxTransactSize) return fail(Status.INVALID_PARAMETER);
  if (body.completionFilter === 0) return fail(Status.INVALID_PARAMETER);
  if (!open.isDirectory) return fail(Status.INVALID_PARAMETER);
  if ((open.grantedAccess & Access.READ_DATA) === 0) return fail(Status.ACCESS_DENIED);
  if (open.file.deletePending) return fail(Status.DELETE_PENDING);
  if (session.notifies >= context.limits.maxNotifiesPerSession) return fail(Status.INSUFFICIENT_RESOURCES);
  open.notify ??= new NotifyQueue(
    open,
    {
      filter: body.completionFilter,
      recursive: (body.flags & WATCH_TREE) !== 0,
      outputSize: body.outputBufferLength,
    },
    context.limits.maxNotifyEvents,
  );
  session.notifies++;
  try {
    request.cleanupStatus = Status.NOTIFY_CLEANUP;
    // A request that has to wait cannot be followed by others in a compound (3.3.4.2, as Windows).
    if (!open.notify.isReady && request.chain.requests.at(-1) !== request) return fail(Status.INTERNAL_ERROR);
    const pending = open.notify.wait(body.outputBufferLength, request.signal);
    if (pending instanceof Promise) {
      request.waitsForEvents = true;
      request.goAsync();
    }
    const { status, data } = await pending;
    request.throwIfAbandoned();
    return isError(status) || data.length === 0 ? fail(status) : outputReply(data, status);
  } finally {
    session.notifies--;
  }
}

import { fail, StatusError } from '../errors.ts';
import { leaseId } from '../file/lease.ts';
import { Oplock, oplockLevel, oplockState } from '../file/oplock.ts';
import { reply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { ServerState } from '../registry/server-state.ts';
import type { Request } from '../request/request.ts';
import { HEADER_SIZE, OplockLevel } from '../wire/constants.ts';
import { leaseBreakAck, oplockBreak as oplockBreakBody } from '../wire/oplock-break.ts';
import { Status } from '../wire/status.ts';

/** [MS-SMB2] 3.3.5.22: an acknowledgement of an oplock or lease break. StructureSize tells which. */
export function oplockBreak(request: Request, server: ServerState): Reply {
  return request.packet.readUInt16LE(HEADER_SIZE) === 36
    ? acknowledgeLease(request, server)
    : acknowledgeOplock(request);
}

/** 3.3.5.22.1 */
function acknowledgeOplock(request: Request): Reply {
  const body = oplockBreakBody.decode(request.packet, HEADER_SIZE);
  const open = request.findOpen(HEADER_SIZE + 8);
  if (open.kind === 'pipe') return fail(Status.FILE_CLOSED);
  const { caching } = open;
  if (body.oplockLevel === OplockLevel.LEASE) return fail(Status.INVALID_PARAMETER);
  if (!(caching instanceof Oplock)) return fail(Status.INVALID_OPLOCK_PROTOCOL);
  if (caching.breakingTo === undefined) return fail(Status.INVALID_OPLOCK_PROTOCOL);
  const state = oplockState(body.oplockLevel);
  if ((state & ~caching.breakingTo) !== 0) {
    caching.acknowledge(0);
    return fail(Status.INVALID_OPLOCK_PROTOCOL);
  }
  caching.acknowledge(state);
  return reply(oplockBreakBody, { oplockLevel: oplockLevel(state), fileId: open.fileId });
}

/** 3.3.5.22.2 */
function acknowledgeLease(request: Request, server: ServerState): Reply {
  const body = leaseBreakAck.decode(request.packet, HEADER_SIZE);
  const lease = server.leases.get(leaseId(request.session.clientGuid, body.leaseKey));
  if (!lease) throw new StatusError(Status.OBJECT_NAME_NOT_FOUND);
  lease.acknowledge(body.leaseState);
  return reply(leaseBreakAck, { flags: 0, leaseKey: lease.key, leaseState: body.leaseState, duration: 0n });
}

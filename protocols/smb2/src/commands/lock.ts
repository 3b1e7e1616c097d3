import { fail, StatusError } from '../errors.ts';
import type { Open } from '../open/open.ts';
import { emptyReply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import { Access, Dialect, HEADER_SIZE } from '../wire/constants.ts';
import { lockElement, LockFlags, lockRequest } from '../wire/io.ts';
import { Status } from '../wire/status.ts';

type Element = ReturnType<typeof lockElement.decode>;

const { SHARED, EXCLUSIVE, UNLOCK, FAIL_IMMEDIATELY } = LockFlags;
const END = 1n << 64n;
const CONTENT = Access.READ_DATA | Access.EXECUTE | Access.WRITE_DATA | Access.APPEND_DATA;
const LOCK_FLAGS = [SHARED, EXCLUSIVE, SHARED | FAIL_IMMEDIATELY, EXCLUSIVE | FAIL_IMMEDIATELY];

/** [MS-SMB2] 3.3.5.14 */
export async function lock(request: Request): Promise<Reply> {
  const { packet, context, open } = request;
  const { lockCount, lockSequence } = lockRequest.decode(packet, HEADER_SIZE);
  if (lockCount === 0 || lockCount > context.limits.maxLocksPerRequest) return fail(Status.INVALID_PARAMETER);
  const elements = Array.from({ length: lockCount }, (_, index) =>
    lockElement.decode(packet, HEADER_SIZE + lockRequest.size + index * lockElement.size),
  );
  if (open.isDirectory) return fail(Status.INVALID_PARAMETER);
  // [MS-FSA] 2.1.5.8
  if ((open.grantedAccess & CONTENT) === 0) return fail(Status.ACCESS_DENIED);
  if (isReplay(request, open, lockSequence)) return emptyReply();
  const unlocks = elements[0]!.flags === UNLOCK;
  if (unlocks) unlockAll(open, elements);
  else await lockAll(request, open, elements);
  remember(request, open, lockSequence);
  return emptyReply();
}

/** A client may repeat a LOCK after a reconnect. A sequence number that was seen before has already been handled. */
function isReplay(request: Request, open: Open, lockSequence: number): boolean {
  if (!keepsSequences(request, open)) return false;
  const bucket = lockSequence >>> 4;
  return bucket >= 1 && bucket <= 64 && open.lockSequences.get(bucket) === (lockSequence & 0xf);
}

function remember(request: Request, open: Open, lockSequence: number): void {
  const bucket = lockSequence >>> 4;
  if (keepsSequences(request, open) && bucket >= 1 && bucket <= 64)
    open.lockSequences.set(bucket, lockSequence & 0xf);
}

const keepsSequences = (request: Request, open: Open): boolean =>
  request.dialect >= Dialect.SMB_3_0 || open.durable !== undefined;

function unlockAll(open: Open, elements: readonly Element[]): void {
  try {
    for (const element of elements) {
      if (element.flags !== UNLOCK) fail(Status.INVALID_PARAMETER);
      checkRange(element);
      if (!open.file.locks.remove(open, element.offset, element.length)) fail(Status.RANGE_NOT_LOCKED);
    }
  } finally {
    // Ranges before a failing one stay unlocked (3.3.5.14.1): others may wait for them.
    open.file.changed();
  }
}

function checkRange({ offset, length }: Element): void {
  if (length > 0n && offset + length - 1n >= END) fail(Status.INVALID_LOCK_RANGE);
}

/** Locks the ranges one after the other. When one fails, unlocks those taken before. */
async function lockAll(request: Request, open: Open, elements: readonly Element[]): Promise<void> {
  const { limits } = request.context;
  for (const { flags } of elements) {
    if (!LOCK_FLAGS.includes(flags)) fail(Status.INVALID_PARAMETER);
    // Several ranges must be locked at once or not at all (3.3.5.14.2).
    if (elements.length > 1 && (flags & FAIL_IMMEDIATELY) === 0) fail(Status.INVALID_PARAMETER);
  }
  if (open.file.locks.countOf(open) + elements.length > limits.maxLocksPerOpen)
    throw new StatusError(Status.INSUFFICIENT_RESOURCES);
  const taken: Element[] = [];
  try {
    for (const element of elements) {
      checkRange(element);
      const isExclusive = (element.flags & EXCLUSIVE) !== 0;
      while (open.file.locks.conflict(open, element.offset, element.length, isExclusive)) {
        if ((element.flags & FAIL_IMMEDIATELY) !== 0) fail(Status.LOCK_NOT_GRANTED);
        await waitForChange(request, open);
      }
      open.file.locks.add({ open, offset: element.offset, length: element.length, exclusive: isExclusive });
      taken.push(element);
    }
  } catch (error) {
    for (const { offset, length } of taken) open.file.locks.remove(open, offset, length);
    if (taken.length > 0) open.file.changed();
    throw error;
  }
  if (!open.share.readOnly) open.file.breakReadCaches(open);
}

async function waitForChange(request: Request, open: Open): Promise<void> {
  request.waitsForEvents = true;
  request.cleanupStatus = Status.RANGE_NOT_LOCKED;
  request.goAsync();
  await open.file.nextChange(request.signal);
  request.throwIfAbandoned();
  if (open.closed) fail(Status.RANGE_NOT_LOCKED);
}

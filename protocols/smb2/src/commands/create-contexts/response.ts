/** The create contexts of a reply ([MS-SMB2] 2.2.14.2). */
import type { NodeAttributes } from '../../backend.ts';
import { encodeSid, unixGroupSid, unixUserSid } from '../../security/index.ts';
import { presentedId } from '../../share/attributes.ts';
import type { Open } from '../../open/open.ts';
import {
  diskIdResponse,
  DURABLE_FLAG_PERSISTENT,
  durableResponseV2,
  encodeCreateContexts,
  leaseV1,
  leaseV2,
  LeaseFlags,
  maximalAccessResponse,
  POSIX_CONTEXT,
} from '../../wire/create-contexts.ts';
import type { CreateContext } from '../../wire/create-contexts.ts';
import { Status } from '../../wire/status.ts';
import type { RequestContexts } from './request.ts';

/** Values for contexts that the backend had to be asked for. */
export interface Gathered {
  readonly maximalAccess: number;
  /** AAPL */
  readonly apple: Buffer | undefined;
}

export function encodeContexts(
  open: Open,
  request: RequestContexts,
  attributes: NodeAttributes,
  { maximalAccess, apple }: Gathered,
): Buffer {
  const contexts: CreateContext[] = [];
  const add = (name: string, data: Buffer | undefined): void => {
    if (data) contexts.push({ name, data });
  };
  if (request.wantsMaximalAccess)
    add('MxAc', maximalAccessResponse.toBuffer({ status: Status.SUCCESS, access: maximalAccess }));
  if (request.wantsDiskId)
    add(
      'QFid',
      diskIdResponse.toBuffer({
        fileId: presentedId(attributes, open.alias),
        volumeId: BigInt(open.share.backend.volume.serial),
      }),
    );
  if (request.lease) add('RqLs', encodeLease(open));
  if (open.durable && request.durable)
    if (open.durable.version === 1) add('DHnQ', Buffer.alloc(8));
    else
      add(
        'DH2Q',
        durableResponseV2.toBuffer({
          timeout: open.durable.timeoutMs,
          flags: open.durable.persistent ? DURABLE_FLAG_PERSISTENT : 0,
        }),
      );
  if (request.posixMode !== undefined && open.posix) add(POSIX_CONTEXT, posixReply(attributes));
  add('AAPL', apple);
  return encodeCreateContexts(contexts);
}

function encodeLease(open: Open): Buffer | undefined {
  const { lease } = open;
  if (!lease) return undefined;
  const flags =
    (lease.breaking ? LeaseFlags.BREAK_IN_PROGRESS : 0) |
    (lease.parentKey ? LeaseFlags.PARENT_LEASE_KEY_SET : 0);
  const common = { key: lease.key, state: lease.state, duration: 0n };
  return lease.version === 1
    ? leaseV1.toBuffer({ ...common, flags: lease.breaking ? LeaseFlags.BREAK_IN_PROGRESS : 0 })
    : leaseV2.toBuffer({
        ...common,
        flags,
        parentKey: lease.parentKey ?? Buffer.alloc(16),
        epoch: lease.epoch,
      });
}

/**
 * SMB3 POSIX extensions: bits 12 to 14 of the mode hold the file type, 2 for a symlink. Linux reads them since 6.12.
 * For files and folders they stay 0, which Linux takes as "see the attributes": Linux 6.1 reads these bits as S_IFMT
 * and would no longer recognise folders.
 */
const SYMLINK_TYPE = 2 << 12;

/** SMB3 POSIX extensions, create context response: link count, reparse tag, mode, owner and group. */
export function posixReply(attributes: NodeAttributes): Buffer {
  const fixed = Buffer.alloc(12);
  fixed.writeUInt32LE(attributes.links, 0);
  fixed.writeUInt32LE(0, 4);
  fixed.writeUInt32LE(attributes.mode | (attributes.kind === 'symlink' ? SYMLINK_TYPE : 0), 8);
  return Buffer.concat([
    fixed,
    encodeSid(unixUserSid(attributes.uid)),
    encodeSid(unixGroupSid(attributes.gid)),
  ]);
}

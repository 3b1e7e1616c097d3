/** The create contexts of a request, each decoded once ([MS-SMB2] 2.2.13.2). */
import { MalformedError, StatusError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import {
  allocationSize,
  APP_INSTANCE_CONTEXT,
  decodeCreateContexts,
  DURABLE_FLAG_PERSISTENT,
  durableReconnectV1,
  durableReconnectV2,
  durableRequestV2,
  leaseV1,
  leaseV2,
  payloadOf,
  POSIX_CONTEXT,
  readU64,
} from '../../wire/create-contexts.ts';
import type { FileId } from '../../wire/file-id.ts';
import { Status } from '../../wire/status.ts';
import type { LeaseRequest } from '../../file/lease.ts';

export interface DurableRequest {
  readonly version: 1 | 2;
  readonly timeoutMs: number;
  readonly createGuid: Buffer | undefined;
  readonly persistent: boolean;
}

export interface DurableReconnect {
  readonly version: 1 | 2;
  readonly persistent: boolean;
  readonly fileId: FileId;
  readonly createGuid: Buffer | undefined;
}

export interface RequestContexts {
  readonly wantsMaximalAccess: boolean;
  readonly wantsDiskId: boolean;
  /** AlSi */
  readonly allocationSize: number | undefined;
  /** TWrp: a previous version. The server has none. */
  readonly snapshot: bigint | undefined;
  /** SecD */
  readonly descriptor: Buffer | undefined;
  /** ExtA */
  readonly extendedAttributes: Buffer | undefined;
  readonly lease: LeaseRequest | undefined;
  readonly durable: DurableRequest | undefined;
  readonly reconnect: DurableReconnect | undefined;
  /** Mode bits of a new object. Present when the client asks for POSIX semantics. */
  readonly posixMode: number | undefined;
  readonly apple: Buffer | undefined;
  readonly appInstance: Buffer | undefined;
}

/** LeaseFlags: ParentLeaseKey is valid. */
const PARENT_KEY_SET = 4;

/** @throws MalformedError for a context of the wrong size. */
export function decodeContexts(chain: Buffer, limits: Limits): RequestContexts {
  const contexts = decodeCreateContexts(chain, limits.maxCreateContexts);
  const of = (name: string): Buffer | undefined => payloadOf(contexts, name);
  const exactly = (name: string, size: number): Buffer | undefined => {
    const data = of(name);
    if (data && data.length !== size)
      throw new MalformedError(`create context ${name} of ${data.length} bytes`);
    return data;
  };
  checkDurableContexts(new Set(contexts.map(({ name }) => name)));
  const mxac = of('MxAc');
  if (mxac && mxac.length !== 0 && mxac.length !== 8) throw new MalformedError('create context MxAc');
  const alsi = exactly('AlSi', allocationSize.size);
  const twrp = exactly('TWrp', 8);
  const posix = exactly(POSIX_CONTEXT, 4);
  const appInstance = exactly(APP_INSTANCE_CONTEXT, 20);
  return {
    wantsMaximalAccess: mxac !== undefined,
    wantsDiskId: of('QFid') !== undefined,
    allocationSize: alsi && allocationSize.decode(alsi).size,
    snapshot: twrp && readU64(twrp),
    descriptor: of('SecD'),
    extendedAttributes: of('ExtA'),
    lease: decodeLease(of('RqLs')),
    durable: decodeDurable(exactly('DHnQ', 16), exactly('DH2Q', durableRequestV2.size)),
    reconnect: decodeReconnect(exactly('DHnC', 16), exactly('DH2C', durableReconnectV2.size)),
    posixMode: posix && posix.readUInt32LE(0) & 0o7777,
    apple: of('AAPL'),
    appInstance: appInstance && Buffer.from(appInstance.subarray(4, 20)),
  };
}

/** Versions 1 and 2 of durable requests and reconnects must not be mixed (3.3.5.9.6, 3.3.5.9.7, 3.3.5.9.10, 3.3.5.9.12). */
function checkDurableContexts(names: ReadonlySet<string>): void {
  const excluded: readonly (readonly [string, readonly string[]])[] = [
    ['DHnQ', ['DH2Q', 'DH2C']],
    ['DHnC', ['DH2Q', 'DH2C']],
    ['DH2Q', ['DH2C']],
  ];
  for (const [name, others] of excluded)
    if (names.has(name) && others.some((other) => names.has(other)))
      throw new StatusError(Status.INVALID_PARAMETER);
}

function decodeLease(data: Buffer | undefined): LeaseRequest | undefined {
  if (!data) return undefined;
  if (data.length === leaseV1.size) {
    const { key, state } = leaseV1.decode(data);
    return { version: 1, key, state, epoch: 0, parentKey: undefined };
  }
  if (data.length !== leaseV2.size) throw new MalformedError('create context RqLs');
  const { key, state, flags, parentKey, epoch } = leaseV2.decode(data);
  return { version: 2, key, state, epoch, parentKey: (flags & PARENT_KEY_SET) === 0 ? undefined : parentKey };
}

const isPersistent = (flags: number): boolean => (flags & DURABLE_FLAG_PERSISTENT) !== 0;

function decodeDurable(v1: Buffer | undefined, v2: Buffer | undefined): DurableRequest | undefined {
  if (v2) {
    const { timeout, flags, createGuid } = durableRequestV2.decode(v2);
    return { version: 2, timeoutMs: timeout, createGuid, persistent: isPersistent(flags) };
  }
  return v1 && { version: 1, timeoutMs: 0, createGuid: undefined, persistent: false };
}

function decodeReconnect(v1: Buffer | undefined, v2: Buffer | undefined): DurableReconnect | undefined {
  if (v2) {
    const { fileId, flags, createGuid } = durableReconnectV2.decode(v2);
    return { version: 2, fileId, createGuid, persistent: isPersistent(flags) };
  }
  return (
    v1 && {
      version: 1,
      fileId: durableReconnectV1.decode(v1).fileId,
      createGuid: undefined,
      persistent: false,
    }
  );
}

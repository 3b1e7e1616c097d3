/** Breaks caches for a new open, and grants caching to it ([MS-SMB2] 3.3.5.9, 3.3.5.9.8, 3.3.5.9.11). */
import { StatusError } from '../errors.ts';
import { Dialect, LeaseState, OplockLevel } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';
import type { Caching } from './caching.ts';
import { isLeaseStatAccess, isStatAccess } from './file-state.ts';
import type { FileState, OpenView } from './file-state.ts';
import { isLeaseState, Lease, leaseId } from './lease.ts';
import type { LeaseRequest, LeaseTable } from './lease.ts';
import { Oplock, oplockLevel, oplockState } from './oplock.ts';
import type { OplockHolder } from './oplock.ts';

const { READ, WRITE, HANDLE, NONE } = LeaseState;

export interface CachingRequest {
  readonly oplockLevel: number;
  readonly lease: LeaseRequest | undefined;
  /** Whether the open replaced the content, whatever its rights. */
  readonly overwrites: boolean;
}

/** The client of a request, and the table of leases. */
export interface CachingClient {
  readonly leases: LeaseTable;
  readonly clientGuid: Buffer;
  readonly dialect: number;
  /** Longest time for the client to acknowledge a break, in ms. */
  readonly breakTimeoutMs: number;
}

/** An open that may be granted caching. */
export interface CacheTaker extends OpenView, OplockHolder {
  caching: Caching | undefined;
  readonly file: FileState;
  readonly isDirectory: boolean;
}

/** The lease that the client already holds with this key. */
export const existingLease = (
  { leases, clientGuid }: CachingClient,
  request: LeaseRequest | undefined,
): Lease | undefined => request && leases.get(leaseId(clientGuid, request.key));

/**
 * Breaks the caches that conflict with an open.
 * @returns whether the open has to wait for an acknowledgement or a close.
 */
export function breakForOpen(
  file: FileState,
  open: { access: number; own: Lease | undefined; isConflict: boolean; overwrites: boolean },
): boolean {
  const decisive = open.isConflict ? HANDLE : WRITE;
  let wait = false;
  for (const caching of file.cachings()) {
    if (caching === open.own) continue;
    const isStat = caching.kind === 'lease' ? isLeaseStatAccess(open.access) : isStatAccess(open.access);
    if (isStat && !open.isConflict && !open.overwrites) continue;
    if (caching.breaking && caching.blocking) wait = true;
    const { state } = caching;
    let to = state & ~decisive;
    if (open.overwrites) to &= ~(HANDLE | READ);
    if ((state & ~to) === 0) continue;
    if (!caching.breakTo(to) || (state & decisive) === 0) continue;
    caching.blocking = true;
    wait = true;
  }
  return wait;
}

/** Grants as much of the request as the other opens of the file permit. */
export function grantCaching(client: CachingClient, open: CacheTaker, request: CachingRequest): void {
  if (request.oplockLevel === OplockLevel.LEASE) grantLease(client, open, request.lease);
  else grantOplock(client, open, oplockState(request.oplockLevel), request.overwrites);
}

function grantOplock(client: CachingClient, open: CacheTaker, wanted: number, overwrites: boolean): void {
  if (open.isDirectory || wanted === NONE) return;
  const others = [...open.file.cachings()];
  // An oplock cannot coexist with a lease that has HANDLE. An open for attributes gets no oplock beside another cache.
  if (others.some(({ kind, state }) => kind === 'lease' && (state & HANDLE) !== 0)) return;
  if (others.length > 0 && isStatAccess(open.grantedAccess) && !overwrites) return;
  const granted = oplockState(oplockLevel(wanted & permitted(open, undefined)));
  if (granted !== NONE) open.caching = new Oplock(open.file, open, granted, client.breakTimeoutMs);
}

/** The LeaseState bits that the other opens permit. */
function permitted(open: CacheTaker, own: Lease | undefined): number {
  // On a read-only share a write cache has no use, and a client that does not acknowledge its break would block others.
  let state = open.file.share.readOnly ? READ | HANDLE : READ | WRITE | HANDLE;
  for (const other of open.file.opens) {
    if (other === open || (own !== undefined && other.caching === own)) continue;
    if (other.caching === undefined && isStatAccess(other.grantedAccess)) continue;
    state &= ~WRITE;
    if (other.caching instanceof Oplock) state &= ~HANDLE;
  }
  if (open.file.locks.length > 0 && !open.file.share.readOnly) state &= ~(READ | WRITE);
  return (state & READ) === 0 ? NONE : state;
}

function grantLease(client: CachingClient, open: CacheTaker, request: LeaseRequest | undefined): void {
  if (!request || client.dialect < Dialect.SMB_2_1) return;
  const existing = existingLease(client, request);
  let wanted = isLeaseState(request.state) ? request.state : NONE;
  if (open.isDirectory) wanted = request.version === 2 ? wanted & ~WRITE : NONE;
  const most = wanted & permitted(open, existing);
  const granted = isLeaseState(most) ? most : wanted & READ;
  const lease = existing ?? newLease(client, open, request);
  lease.opens.add(open);
  open.caching = lease;
  // A lease is only extended: to the whole request, and not while it is being broken (3.3.5.9.8).
  const isUpgrade = existing === undefined || existing.state === NONE || granted === request.state;
  if (isUpgrade && !lease.breaking && (lease.state & ~granted) === 0) lease.upgrade(granted);
}

function newLease(client: CachingClient, open: CacheTaker, request: LeaseRequest): Lease {
  const { key, version, parentKey, epoch } = request;
  const id = leaseId(client.clientGuid, key);
  const lease = new Lease(open.file, { id, key, version, parentKey, epoch }, client.breakTimeoutMs);
  client.leases.set(id, lease);
  return lease;
}

/** @throws StatusError INVALID_PARAMETER when the lease key is in use for another file (3.3.5.9.8). */
export function checkLeaseKey(lease: Lease | undefined, file: FileState): void {
  if (lease && lease.file !== file) throw new StatusError(Status.INVALID_PARAMETER);
}

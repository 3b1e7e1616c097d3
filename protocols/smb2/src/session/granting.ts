/** Who has to give up caching for a new open, and what the new one gets ([MS-SMB2] 3.3.5.9, 3.3.5.9.8, 3.3.5.9.11). */
import type { LeaseRequest } from '../commands/create-contexts/request.ts';
import { StatusError } from '../errors.ts';
import { Dialect, LeaseState, OplockLevel } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';
import { isLeaseStatAccess, isStatAccess } from './file-state.ts';
import type { FileState } from './file-state.ts';
import { isLeaseState, Lease, leaseId } from './lease.ts';
import type { Open } from './open.ts';
import { Oplock, oplockLevel, oplockState } from './oplock.ts';
import type { ServerState } from './server-state.ts';
import type { Session } from './session.ts';

const { READ, WRITE, HANDLE, NONE } = LeaseState;

export interface CachingRequest {
  readonly oplockLevel: number;
  readonly lease: LeaseRequest | undefined;
  /** The open replaced the content, whatever its rights are. */
  readonly overwrites: boolean;
}

/** The lease a client already holds with this key. */
export function existingLease(session: Session, request: LeaseRequest | undefined): Lease | undefined {
  if (!request) return undefined;
  return session.connection.server.leases.get(leaseId(session.connection.clientGuid, request.key));
}

/**
 * Breaks what stands in the way of an open.
 * @returns whether it has to wait for an acknowledgement or a close.
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

/** Grants the most that the other opens of the file permit. */
export function grantCaching(server: ServerState, open: Open, request: CachingRequest): void {
  if (request.oplockLevel === OplockLevel.LEASE) grantLease(server, open, request.lease);
  else grantOplock(server, open, oplockState(request.oplockLevel), request.overwrites);
}

function grantOplock(server: ServerState, open: Open, wanted: number, overwrites: boolean): void {
  if (open.isDirectory || wanted === NONE) return;
  const others = [...open.file.cachings()];
  // An oplock cannot live beside a handle lease, nor one of an attribute-only open beside any other.
  if (others.some(({ kind, state }) => kind === 'lease' && (state & HANDLE) !== 0)) return;
  if (others.length > 0 && isStatAccess(open.grantedAccess) && !overwrites) return;
  const granted = oplockState(oplockLevel(wanted & permitted(open, undefined)));
  if (granted !== NONE)
    open.caching = new Oplock(open.file, open, granted, server.limits.oplockBreakTimeoutMs);
}

/** What the other opens leave, as lease state bits. */
function permitted(open: Open, own: Lease | undefined): number {
  // A write cache nobody can write into protects nothing, and a client that does not answer would hold up all others.
  let state = open.share.readOnly ? READ | HANDLE : READ | WRITE | HANDLE;
  for (const other of open.file.opens) {
    if (other === open || (own !== undefined && other.caching === own)) continue;
    if (other.caching === undefined && isStatAccess(other.grantedAccess)) continue;
    state &= ~WRITE;
    if (other.caching instanceof Oplock) state &= ~HANDLE;
  }
  if (open.file.locks.length > 0) state &= ~(READ | WRITE);
  return (state & READ) === 0 ? NONE : state;
}

function grantLease(server: ServerState, open: Open, request: LeaseRequest | undefined): void {
  const { connection } = open.session!;
  if (!request || connection.dialect === undefined || connection.dialect < Dialect.SMB_2_1) return;
  const id = leaseId(connection.clientGuid, request.key);
  const existing = server.leases.get(id);
  let wanted = isLeaseState(request.state) ? request.state : NONE;
  if (open.isDirectory) wanted = request.version === 2 ? wanted & ~WRITE : NONE;
  const granted = isLeaseState(wanted & permitted(open, existing))
    ? wanted & permitted(open, existing)
    : wanted & READ;
  const lease = existing ?? newLease(server, open, id, request);
  lease.opens.add(open);
  open.caching = lease;
  // A lease is only ever extended, to all that was asked for, and not while it is being broken (3.3.5.9.8).
  const isUpgrade = existing === undefined || existing.state === NONE || granted === request.state;
  if (isUpgrade && !lease.breaking && (lease.state & ~granted) === 0) lease.upgrade(granted);
}

function newLease(server: ServerState, open: Open, id: string, request: LeaseRequest): Lease {
  const lease = new Lease(
    open.file,
    {
      id,
      key: request.key,
      version: request.version,
      parentKey: request.parentKey,
      epoch: request.epoch,
    },
    server.limits.oplockBreakTimeoutMs,
  );
  server.leases.set(id, lease);
  return lease;
}

/** @throws StatusError INVALID_PARAMETER when the key is in use for another file (3.3.5.9.8). */
export function checkLeaseKey(lease: Lease | undefined, file: FileState): void {
  if (lease && lease.file !== file) throw new StatusError(Status.INVALID_PARAMETER);
}

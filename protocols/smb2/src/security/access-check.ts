/** The access check ([MS-DTYP] 2.5.3.2). */
import { Access } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';
import { AceFlags, AceType, type Ace } from './acl.ts';
import type { SecurityDescriptor } from './descriptor.ts';
import { mapGeneric } from './rights.ts';
import { type Sid, WellKnownSid } from './sid.ts';

/** The parts of a caller's token that files need. */
export interface Identity {
  /** SIDs of the user, its groups, and the well-known SIDs that apply (Everyone, Authenticated Users). */
  readonly sids: readonly Sid[];
  /** SeSecurityPrivilege: may read and set the SACL. */
  readonly security?: boolean;
  /** SeTakeOwnershipPrivilege */
  readonly takeOwnership?: boolean;
}

export interface AccessResult {
  readonly status: typeof Status.SUCCESS | typeof Status.ACCESS_DENIED | typeof Status.PRIVILEGE_NOT_HELD;
  /** All requested rights; with MAXIMUM_ALLOWED also all others that are allowed. 0 when refused. */
  readonly granted: number;
}

const DENIES: ReadonlySet<number> = new Set([
  AceType.ACCESS_DENIED,
  AceType.ACCESS_DENIED_OBJECT,
  // Conditions are not evaluated: a conditional entry can deny but not allow.
  AceType.ACCESS_DENIED_CALLBACK,
  AceType.ACCESS_DENIED_CALLBACK_OBJECT,
]);

/**
 * Checks `desired` (may include generic rights and MAXIMUM_ALLOWED) against the DACL. Without a DACL, or with a NULL
 * DACL, everything is allowed. The owner always has READ_CONTROL and WRITE_DAC, unless an OWNER RIGHTS entry defines
 * the owner's rights.
 */
export function accessCheck(
  descriptor: SecurityDescriptor,
  identity: Identity,
  desired: number,
): AccessResult {
  const wanted = mapGeneric(desired);
  const maximum = (wanted & Access.MAXIMUM_ALLOWED) !== 0;
  const explicit = wanted & ~Access.MAXIMUM_ALLOWED;
  let privileged = 0;
  if ((explicit & Access.SYSTEM_SECURITY) !== 0) {
    if (identity.security !== true) return { status: Status.PRIVILEGE_NOT_HELD, granted: 0 };
    privileged |= Access.SYSTEM_SECURITY;
  }
  if (identity.takeOwnership === true && (maximum || (explicit & Access.WRITE_OWNER) !== 0)) {
    privileged |= Access.WRITE_OWNER;
  }
  const asked = explicit & ~privileged;
  const allowed = allowedRights(descriptor, identity, maximum ? Access.ALL | asked : asked);
  const granted = (privileged | (maximum ? allowed : asked)) >>> 0;
  if ((asked & ~allowed) !== 0 || (maximum && granted === 0))
    return { status: Status.ACCESS_DENIED, granted: 0 };
  return { status: Status.SUCCESS, granted };
}

/** The rights of interest that the DACL allows. For each right the first entry that mentions it decides. */
function allowedRights(descriptor: SecurityDescriptor, identity: Identity, interest: number): number {
  if (!descriptor.dacl) return interest;
  const sids = new Set(identity.sids);
  const aces = descriptor.dacl.aces.filter((ace) => (ace.flags & AceFlags.INHERIT_ONLY) === 0);
  const isOwner = descriptor.owner !== undefined && sids.has(descriptor.owner);
  if (isOwner) sids.add(WellKnownSid.OWNER_RIGHTS);
  let open = interest;
  let allowed = 0;
  if (isOwner && !aces.some((ace) => ace.sid === WellKnownSid.OWNER_RIGHTS)) {
    allowed = interest & (Access.READ_CONTROL | Access.WRITE_DAC);
    open &= ~allowed;
  }
  for (const ace of aces) {
    if (!sids.has(ace.sid)) continue;
    const rights = mapGeneric(ace.mask) & open;
    if (ace.type === AceType.ACCESS_ALLOWED) allowed |= rights;
    else if (!denies(ace)) continue;
    open &= ~rights;
  }
  return allowed;
}

const denies = (ace: Ace): boolean => DENIES.has(ace.type);

/** Who may do what ([MS-DTYP] 2.5.3.2). */
import { Access } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';
import { AceFlags, AceType, type Ace } from './acl.ts';
import type { SecurityDescriptor } from './descriptor.ts';
import { mapGeneric } from './rights.ts';
import { type Sid, WellKnownSid } from './sid.ts';

/** A caller's token, as far as files need it. */
export interface Identity {
  /** The user's SID, its groups, and the well-known ones that hold for it (Everyone, Authenticated Users). */
  readonly sids: readonly Sid[];
  /** SeSecurityPrivilege: may see and set the SACL. */
  readonly security?: boolean;
  /** SeTakeOwnershipPrivilege */
  readonly takeOwnership?: boolean;
}

export interface AccessResult {
  readonly status: typeof Status.SUCCESS | typeof Status.ACCESS_DENIED | typeof Status.PRIVILEGE_NOT_HELD;
  /** Everything that was asked for, and with MAXIMUM_ALLOWED everything else that is allowed; 0 when refused. */
  readonly granted: number;
}

const DENIES: ReadonlySet<number> = new Set([
  AceType.ACCESS_DENIED,
  AceType.ACCESS_DENIED_OBJECT,
  // Conditions are not evaluated: a denial holds, a conditional permission does not.
  AceType.ACCESS_DENIED_CALLBACK,
  AceType.ACCESS_DENIED_CALLBACK_OBJECT,
]);

/**
 * Checks `desired` (generic rights and MAXIMUM_ALLOWED included) against the DACL. A descriptor without one, or with
 * a NULL one, allows everything. The owner always has READ_CONTROL and WRITE_DAC, unless an OWNER RIGHTS entry says
 * what the owner has.
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

/** Those of the rights of interest that the DACL gives: for each right the first entry that speaks of it decides. */
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

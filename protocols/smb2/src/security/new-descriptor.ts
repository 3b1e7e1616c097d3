/** Descriptors for objects without a stored one: made from POSIX permissions, or inherited from the directory. */
import type { NodeKind } from '../backend.ts';
import { Access } from '../wire/constants.ts';
import { AceFlags, type Ace, type Acl, allow } from './acl.ts';
import { Control, replaceParts, type SecurityDescriptor, SecurityInformation } from './descriptor.ts';
import { FILE_GENERIC_EXECUTE, FILE_GENERIC_READ, FILE_GENERIC_WRITE, mapGeneric } from './rights.ts';
import { type Sid, unixGroupSid, unixUserSid, WellKnownSid } from './sid.ts';

export interface PosixOwnership {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly kind: NodeKind;
}

/** `rwx` of a file as in smbd: all rights but DELETE, which the directory decides. */
const FILE_RWX = Access.ALL & ~Access.DELETE;

function posixRights(bits: number, directory: boolean): number {
  if (bits === 7) return directory ? Access.ALL : FILE_RWX;
  let mask = 0;
  if ((bits & 4) !== 0) mask |= FILE_GENERIC_READ;
  if ((bits & 2) !== 0) mask |= FILE_GENERIC_WRITE | (directory ? Access.DELETE_CHILD : 0);
  if ((bits & 1) !== 0) mask |= FILE_GENERIC_EXECUTE;
  return mask;
}

/** Makes the descriptor of a POSIX mode as smbd does: entries for owner, group and everybody, protected from inheritance. */
export function synthesise(ownership: PosixOwnership): SecurityDescriptor {
  const owner = unixUserSid(ownership.uid);
  const group = unixGroupSid(ownership.gid);
  const rights = (shift: number): number =>
    posixRights((ownership.mode >> shift) & 7, ownership.kind === 'directory');
  return {
    control: Control.DACL_PROTECTED,
    owner,
    group,
    dacl: {
      revision: 2,
      aces: [allow(owner, rights(6)), allow(group, rights(3)), allow(WellKnownSid.EVERYONE, rights(0))],
    },
  };
}

/** Owner and group for a new object. */
export interface Creator {
  readonly owner: Sid;
  readonly group: Sid;
}

/**
 * The descriptor of a new object ([MS-DTYP] 2.5.3.4): what the creator has set, else what the parent passes on, else
 * full control for the creator and the system.
 */
export function inherit(
  parent: SecurityDescriptor | undefined,
  kind: 'file' | 'directory',
  creator: Creator,
  explicit?: SecurityDescriptor,
): SecurityDescriptor {
  const owner = { owner: explicit?.owner ?? creator.owner, group: explicit?.group ?? creator.group };
  const daclInherited = ((parent?.control ?? 0) & Control.DACL_AUTO_INHERITED) !== 0;
  const saclInherited = ((parent?.control ?? 0) & Control.SACL_AUTO_INHERITED) !== 0;
  const dacl = inheritAcl(parent?.dacl, kind, owner, daclInherited);
  const sacl = inheritAcl(parent?.sacl, kind, owner, saclInherited);
  const inherited: SecurityDescriptor = {
    control:
      (dacl !== undefined && daclInherited ? Control.DACL_AUTO_INHERITED : 0) |
      (sacl !== undefined && saclInherited ? Control.SACL_AUTO_INHERITED : 0),
    ...owner,
    dacl: dacl ?? {
      revision: 2,
      aces: [allow(owner.owner, Access.ALL), allow(WellKnownSid.LOCAL_SYSTEM, Access.ALL)],
    },
    sacl,
  };
  if (explicit === undefined) return inherited;
  const parts =
    (explicit.dacl === undefined ? 0 : SecurityInformation.DACL) |
    (explicit.sacl === undefined ? 0 : SecurityInformation.SACL);
  return replaceParts(inherited, explicit, parts);
}

function inheritAcl(
  parent: Acl | null | undefined,
  kind: 'file' | 'directory',
  creator: Creator,
  autoInherited: boolean,
): Acl | undefined {
  if (!parent) return undefined;
  const mark = autoInherited ? AceFlags.INHERITED : 0;
  const aces = parent.aces
    .flatMap((ace) => inheritAce(ace, kind, creator))
    .map((ace) => ({ ...ace, flags: ace.flags | mark }));
  return aces.length === 0 ? undefined : { revision: parent.revision, aces };
}

const INHERITANCE_FLAGS =
  AceFlags.OBJECT_INHERIT |
  AceFlags.CONTAINER_INHERIT |
  AceFlags.NO_PROPAGATE_INHERIT |
  AceFlags.INHERIT_ONLY;

/** The inherited entries. On a directory a creator's entry becomes two: one in force, and one to pass on. */
function inheritAce(ace: Ace, kind: 'file' | 'directory', creator: Creator): Ace[] {
  const has = (flag: number): boolean => (ace.flags & flag) !== 0;
  const kept = ace.flags & ~(INHERITANCE_FLAGS | AceFlags.INHERITED);
  const propagated = ace.flags & (AceFlags.OBJECT_INHERIT | AceFlags.CONTAINER_INHERIT);
  const sid = substitute(ace.sid, creator);
  const effective: Ace = { ...ace, flags: kept, sid, mask: mapGeneric(ace.mask) };
  if (kind === 'file') return has(AceFlags.OBJECT_INHERIT) ? [effective] : [];
  const further = !has(AceFlags.NO_PROPAGATE_INHERIT);
  if (!has(AceFlags.CONTAINER_INHERIT)) {
    const handed = { ...ace, flags: kept | propagated | AceFlags.INHERIT_ONLY };
    return has(AceFlags.OBJECT_INHERIT) && further ? [handed] : [];
  }
  if (!further) return [effective];
  if (sid === ace.sid) return [{ ...effective, flags: kept | propagated }];
  return [effective, { ...ace, flags: kept | propagated | AceFlags.INHERIT_ONLY }];
}

function substitute(sid: Sid, creator: Creator): Sid {
  if (sid === WellKnownSid.CREATOR_OWNER) return creator.owner;
  return sid === WellKnownSid.CREATOR_GROUP ? creator.group : sid;
}

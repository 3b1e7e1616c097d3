/** Self-relative security descriptors ([MS-DTYP] 2.4.6), and selecting or replacing their parts. */
import { AceFlags, type Ace, type Acl, decodeAcl, encodeAcl } from './acl.ts';
import { mapGeneric } from './rights.ts';
import { decodeSid, encodeSid, malformedDescriptor, type Sid } from './sid.ts';

/** [MS-DTYP] 2.4.6 Control */
export const Control = {
  OWNER_DEFAULTED: 0x0001,
  GROUP_DEFAULTED: 0x0002,
  DACL_PRESENT: 0x0004,
  DACL_DEFAULTED: 0x0008,
  SACL_PRESENT: 0x0010,
  SACL_DEFAULTED: 0x0020,
  DACL_AUTO_INHERIT_REQ: 0x0100,
  SACL_AUTO_INHERIT_REQ: 0x0200,
  DACL_AUTO_INHERITED: 0x0400,
  SACL_AUTO_INHERITED: 0x0800,
  DACL_PROTECTED: 0x1000,
  SACL_PROTECTED: 0x2000,
  SELF_RELATIVE: 0x8000,
} as const;

/** [MS-DTYP] 2.4.7 */
export const SecurityInformation = {
  OWNER: 0x00000001,
  GROUP: 0x00000002,
  DACL: 0x00000004,
  SACL: 0x00000008,
  LABEL: 0x00000010,
  ATTRIBUTE: 0x00000020,
  SCOPE: 0x00000040,
  BACKUP: 0x00010000,
  UNPROTECTED_SACL: 0x10000000,
  UNPROTECTED_DACL: 0x20000000,
  PROTECTED_SACL: 0x40000000,
  PROTECTED_DACL: 0x80000000,
} as const;

export interface SecurityDescriptor {
  /** Without DACL_PRESENT, SACL_PRESENT and SELF_RELATIVE, which the encoder derives from the parts. */
  readonly control: number;
  readonly owner?: Sid | undefined;
  readonly group?: Sid | undefined;
  /** `null`: the list is present but NULL. A NULL DACL allows everything to everybody. */
  readonly dacl?: Acl | null | undefined;
  readonly sacl?: Acl | null | undefined;
}

const HEADER = 20;
/** Largest descriptor, in bytes, as in Windows and Samba. */
export const MAX_DESCRIPTOR_BYTES = 64 * 1024;
const LAYOUT_BITS = Control.DACL_PRESENT | Control.SACL_PRESENT | Control.SELF_RELATIVE;
const OWNER_BITS = Control.OWNER_DEFAULTED;
const GROUP_BITS = Control.GROUP_DEFAULTED;
const DACL_BITS =
  Control.DACL_DEFAULTED |
  Control.DACL_AUTO_INHERIT_REQ |
  Control.DACL_AUTO_INHERITED |
  Control.DACL_PROTECTED;
const SACL_BITS =
  Control.SACL_DEFAULTED |
  Control.SACL_AUTO_INHERIT_REQ |
  Control.SACL_AUTO_INHERITED |
  Control.SACL_PROTECTED;
const SACL_PARTS = SecurityInformation.SACL | SecurityInformation.LABEL | SecurityInformation.ATTRIBUTE;

/** Throws INVALID_SECURITY_DESCR. */
export function decodeDescriptor(bytes: Buffer): SecurityDescriptor {
  if (bytes.length < HEADER || bytes.length > MAX_DESCRIPTOR_BYTES)
    malformedDescriptor(`${bytes.length} bytes`);
  const control = bytes.readUInt16LE(2);
  if (bytes.readUInt8(0) !== 1) malformedDescriptor(`revision ${bytes.readUInt8(0)}`);
  if ((control & Control.SELF_RELATIVE) === 0) malformedDescriptor('not self-relative');
  const part = <T>(field: number, decode: (bytes: Buffer, at: number) => T): T | undefined => {
    const at = bytes.readUInt32LE(field);
    if (at === 0) return undefined;
    return at < HEADER ? malformedDescriptor('a part inside the header') : decode(bytes, at);
  };
  const list = (field: number, present: number): Acl | null | undefined =>
    (control & present) === 0 ? undefined : (part(field, decodeAcl) ?? null);
  return {
    control: control & ~LAYOUT_BITS,
    owner: part(4, decodeSid),
    group: part(8, decodeSid),
    sacl: list(12, Control.SACL_PRESENT),
    dacl: list(16, Control.DACL_PRESENT),
  };
}

/** Encodes owner, group, SACL and DACL, in the order of smbd. Throws a RangeError for lists above 64 KiB. */
export function encodeDescriptor(descriptor: SecurityDescriptor): Buffer {
  const header = Buffer.alloc(HEADER);
  const parts: Buffer[] = [header];
  let length = HEADER;
  let control = (descriptor.control & ~LAYOUT_BITS) | Control.SELF_RELATIVE;
  const put = (field: number, part: Buffer | undefined): void => {
    if (part === undefined) return;
    header.writeUInt32LE(length, field);
    parts.push(part);
    length += part.length;
  };
  if (descriptor.dacl !== undefined) control |= Control.DACL_PRESENT;
  if (descriptor.sacl !== undefined) control |= Control.SACL_PRESENT;
  put(4, descriptor.owner === undefined ? undefined : encodeSid(descriptor.owner));
  put(8, descriptor.group === undefined ? undefined : encodeSid(descriptor.group));
  put(12, descriptor.sacl ? encodeAcl(descriptor.sacl) : undefined);
  put(16, descriptor.dacl ? encodeAcl(descriptor.dacl) : undefined);
  header.writeUInt8(1, 0);
  header.writeUInt16LE(control, 2);
  return Buffer.concat(parts);
}

/** Returns the parts that `information` (SecurityInformation bits) selects. */
export function selectParts(descriptor: SecurityDescriptor, information: number): SecurityDescriptor {
  const owner = (information & SecurityInformation.OWNER) !== 0;
  const group = (information & SecurityInformation.GROUP) !== 0;
  const dacl = (information & SecurityInformation.DACL) !== 0;
  const sacl = (information & SACL_PARTS) !== 0;
  const kept =
    (owner ? OWNER_BITS : 0) | (group ? GROUP_BITS : 0) | (dacl ? DACL_BITS : 0) | (sacl ? SACL_BITS : 0);
  return {
    control: descriptor.control & kept,
    owner: owner ? descriptor.owner : undefined,
    group: group ? descriptor.group : undefined,
    dacl: dacl ? descriptor.dacl : undefined,
    sacl: sacl ? descriptor.sacl : undefined,
  };
}

/**
 * The descriptor to store after a client has set the parts that `information` selects ([MS-FSA] 2.1.5.17). A missing
 * DACL becomes a NULL DACL. Generic rights become file rights.
 */
export function replaceParts(
  stored: SecurityDescriptor,
  incoming: SecurityDescriptor,
  information: number,
): SecurityDescriptor {
  const owner = (information & SecurityInformation.OWNER) !== 0 && incoming.owner !== undefined;
  const group = (information & SecurityInformation.GROUP) !== 0 && incoming.group !== undefined;
  const dacl = (information & SecurityInformation.DACL) !== 0;
  const sacl = (information & SACL_PARTS) !== 0;
  const taken = (dacl ? DACL_BITS : 0) | (sacl ? SACL_BITS : 0);
  return {
    control: (stored.control & ~taken) | (settleInheritance(incoming.control) & taken),
    owner: owner ? incoming.owner : stored.owner,
    group: group ? incoming.group : stored.group,
    dacl: dacl ? withFileRights(incoming.dacl ?? null) : stored.dacl,
    sacl: sacl ? withFileRights(incoming.sacl) : stored.sacl,
  };
}

/** AUTO_INHERITED is valid only together with AUTO_INHERIT_REQ, which is not stored. */
function settleInheritance(control: number): number {
  const dacl = Control.DACL_AUTO_INHERIT_REQ | Control.DACL_AUTO_INHERITED;
  const sacl = Control.SACL_AUTO_INHERIT_REQ | Control.SACL_AUTO_INHERITED;
  return (
    (control & ~(dacl | sacl)) |
    ((control & dacl) === dacl ? Control.DACL_AUTO_INHERITED : 0) |
    ((control & sacl) === sacl ? Control.SACL_AUTO_INHERITED : 0)
  );
}

function withFileRights<T extends Acl | null | undefined>(acl: T): T | Acl {
  if (!acl) return acl;
  // An inherit-only entry keeps its generic rights, for the objects that will inherit it.
  const map = (ace: Ace): Ace =>
    (ace.flags & AceFlags.INHERIT_ONLY) !== 0 ? ace : { ...ace, mask: mapGeneric(ace.mask) };
  return { revision: acl.revision, aces: acl.aces.map(map) };
}

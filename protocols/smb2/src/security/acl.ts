/** Access control lists and their entries ([MS-DTYP] 2.4.4 and 2.4.5). */
import { decodeSid, encodeSid, malformedDescriptor, type Sid, sidLengthAt } from './sid.ts';

/** [MS-DTYP] 2.4.4.1 AceType */
export const AceType = {
  ACCESS_ALLOWED: 0x00,
  ACCESS_DENIED: 0x01,
  SYSTEM_AUDIT: 0x02,
  ACCESS_ALLOWED_OBJECT: 0x05,
  ACCESS_DENIED_OBJECT: 0x06,
  SYSTEM_AUDIT_OBJECT: 0x07,
  SYSTEM_ALARM_OBJECT: 0x08,
  ACCESS_ALLOWED_CALLBACK: 0x09,
  ACCESS_DENIED_CALLBACK: 0x0a,
  ACCESS_ALLOWED_CALLBACK_OBJECT: 0x0b,
  ACCESS_DENIED_CALLBACK_OBJECT: 0x0c,
  SYSTEM_AUDIT_CALLBACK_OBJECT: 0x0f,
  SYSTEM_ALARM_CALLBACK_OBJECT: 0x10,
  SYSTEM_MANDATORY_LABEL: 0x11,
} as const;

/** [MS-DTYP] 2.4.4.1 AceFlags */
export const AceFlags = {
  OBJECT_INHERIT: 0x01,
  CONTAINER_INHERIT: 0x02,
  NO_PROPAGATE_INHERIT: 0x04,
  INHERIT_ONLY: 0x08,
  INHERITED: 0x10,
} as const;

export interface Ace {
  readonly type: number;
  readonly flags: number;
  readonly mask: number;
  readonly sid: Sid;
  /** Flags and GUIDs of an object entry, in wire form. */
  readonly object?: Buffer;
  /** Data after the SID: conditions, resource attributes. */
  readonly data?: Buffer;
}

export interface Acl {
  /** 2, or 4 when there are object entries. */
  readonly revision: number;
  readonly aces: readonly Ace[];
}

const ACL_HEADER = 8;
const ACE_HEADER = 8;
const OBJECT_TYPES: ReadonlySet<number> = new Set([
  AceType.ACCESS_ALLOWED_OBJECT,
  AceType.ACCESS_DENIED_OBJECT,
  AceType.SYSTEM_AUDIT_OBJECT,
  AceType.SYSTEM_ALARM_OBJECT,
  AceType.ACCESS_ALLOWED_CALLBACK_OBJECT,
  AceType.ACCESS_DENIED_CALLBACK_OBJECT,
  AceType.SYSTEM_AUDIT_CALLBACK_OBJECT,
  AceType.SYSTEM_ALARM_CALLBACK_OBJECT,
]);

export const allow = (sid: Sid, mask: number, flags = 0): Ace => ({
  type: AceType.ACCESS_ALLOWED,
  flags,
  mask,
  sid,
});

/** Throws INVALID_SECURITY_DESCR. The length of the data bounds the number of entries. */
export function decodeAcl(bytes: Buffer, at: number): Acl {
  if (at + ACL_HEADER > bytes.length) malformedDescriptor('an ACL outside the buffer');
  const revision = bytes.readUInt8(at);
  const end = at + bytes.readUInt16LE(at + 2);
  const count = bytes.readUInt16LE(at + 4);
  if (revision < 2 || revision > 4) malformedDescriptor(`ACL revision ${revision}`);
  if (end > bytes.length) malformedDescriptor('an ACL outside the buffer');
  const aces: Ace[] = [];
  let offset = at + ACL_HEADER;
  for (let index = 0; index < count; index++) {
    if (offset + ACE_HEADER > end) malformedDescriptor('an ACE outside its ACL');
    const size = bytes.readUInt16LE(offset + 2);
    if (size < ACE_HEADER || offset + size > end) malformedDescriptor('an ACE outside its ACL');
    aces.push(decodeAce(bytes.subarray(offset, offset + size)));
    offset += size;
  }
  return { revision, aces };
}

function decodeAce(bytes: Buffer): Ace {
  const type = bytes.readUInt8(0);
  let at = ACE_HEADER;
  if (OBJECT_TYPES.has(type)) {
    if (bytes.length < at + 4) malformedDescriptor('an object ACE too short');
    const flags = bytes.readUInt32LE(at);
    at += 4 + ((flags & 1) !== 0 ? 16 : 0) + ((flags & 2) !== 0 ? 16 : 0);
  }
  const dataAt = at + sidLengthAt(bytes, at);
  return {
    type,
    flags: bytes.readUInt8(1),
    mask: bytes.readUInt32LE(4),
    sid: decodeSid(bytes, at),
    ...(at > ACE_HEADER ? { object: Buffer.from(bytes.subarray(ACE_HEADER, at)) } : {}),
    ...(dataAt < bytes.length ? { data: Buffer.from(bytes.subarray(dataAt)) } : {}),
  };
}

function encodeAce(ace: Ace): Buffer {
  const header = Buffer.alloc(ACE_HEADER);
  const bytes = Buffer.concat(
    [header, ace.object ?? '', encodeSid(ace.sid), ace.data ?? ''].map((part) => Buffer.from(part)),
  );
  const padded = Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
  if (padded.length > 0xffff) throw new RangeError('an ACE of more than 65,535 bytes');
  padded.writeUInt8(ace.type, 0);
  padded.writeUInt8(ace.flags, 1);
  padded.writeUInt16LE(padded.length, 2);
  padded.writeUInt32LE(ace.mask >>> 0, 4);
  return padded;
}

/** Throws a RangeError for more than 65,535 bytes. */
export function encodeAcl(acl: Acl): Buffer {
  const header = Buffer.alloc(ACL_HEADER);
  const bytes = Buffer.concat([header, ...acl.aces.map(encodeAce)]);
  if (bytes.length > 0xffff) throw new RangeError('an ACL of more than 65,535 bytes');
  bytes.writeUInt8(acl.revision, 0);
  bytes.writeUInt16LE(bytes.length, 2);
  bytes.writeUInt16LE(acl.aces.length, 4);
  return bytes;
}

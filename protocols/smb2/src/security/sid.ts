/** Security identifiers ([MS-DTYP] 2.4.2) in their string form, `S-1-5-32-544`. */
import { StatusError } from '../backend.ts';
import { Status } from '../wire/status.ts';

export type Sid = string;

/** [MS-DTYP] 2.4.2.4 */
export const WellKnownSid = {
  NULL: 'S-1-0-0',
  EVERYONE: 'S-1-1-0',
  CREATOR_OWNER: 'S-1-3-0',
  CREATOR_GROUP: 'S-1-3-1',
  OWNER_RIGHTS: 'S-1-3-4',
  NETWORK: 'S-1-5-2',
  ANONYMOUS: 'S-1-5-7',
  AUTHENTICATED_USERS: 'S-1-5-11',
  LOCAL_SYSTEM: 'S-1-5-18',
  ADMINISTRATORS: 'S-1-5-32-544',
  USERS: 'S-1-5-32-545',
  GUESTS: 'S-1-5-32-546',
} as const satisfies Record<string, Sid>;

/** SIDs that Samba uses for Unix users and groups without a domain. */
export const unixUserSid = (uid: number): Sid => `S-1-22-1-${uid}`;
export const unixGroupSid = (gid: number): Sid => `S-1-22-2-${gid}`;

const MAX_SUB_AUTHORITIES = 15;
const TEXT = /^S-1-(\d{1,15}|0x[0-9a-fA-F]{1,12})((?:-\d{1,10}){0,15})$/;

export function malformedDescriptor(why: string): never {
  throw new StatusError(Status.INVALID_SECURITY_DESCR, { message: `security descriptor: ${why}` });
}

/** Length of the SID at `at`, in bytes. Throws INVALID_SECURITY_DESCR when it does not fit. */
export function sidLengthAt(bytes: Buffer, at: number): number {
  if (at + 8 > bytes.length) malformedDescriptor('a SID outside the buffer');
  const count = bytes.readUInt8(at + 1);
  const length = 8 + 4 * count;
  if (bytes.readUInt8(at) !== 1 || count > MAX_SUB_AUTHORITIES) malformedDescriptor('not a SID');
  if (at + length > bytes.length) malformedDescriptor('a SID outside the buffer');
  return length;
}

/** [MS-DTYP] 2.4.2.2. Throws INVALID_SECURITY_DESCR. */
export function decodeSid(bytes: Buffer, at = 0): Sid {
  const end = at + sidLengthAt(bytes, at);
  const authority = bytes.readUIntBE(at + 2, 6);
  let text = `S-1-${authority < 2 ** 32 ? authority.toString() : `0x${authority.toString(16).padStart(12, '0')}`}`;
  for (let offset = at + 8; offset < end; offset += 4) text += `-${bytes.readUInt32LE(offset)}`;
  return text;
}

/** Throws a RangeError when the text is not a SID. */
export function encodeSid(sid: Sid): Buffer {
  const match = TEXT.exec(sid);
  const authority = Number(match?.[1]);
  const subAuthorities = (match?.[2] ?? '').split('-').slice(1).map(Number);
  if (match === null || authority >= 2 ** 48 || subAuthorities.some((part) => part >= 2 ** 32)) {
    throw new RangeError(`not a SID: ${sid}`);
  }
  const bytes = Buffer.alloc(8 + 4 * subAuthorities.length);
  bytes.writeUInt8(1, 0);
  bytes.writeUInt8(subAuthorities.length, 1);
  bytes.writeUIntBE(authority, 2, 6);
  subAuthorities.forEach((part, index) => bytes.writeUInt32LE(part, 8 + 4 * index));
  return bytes;
}

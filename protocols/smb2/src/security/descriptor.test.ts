import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StatusError } from '../backend.ts';
import { Status } from '../wire/status.ts';
import { AceType, type Ace, allow } from './acl.ts';
import {
  Control,
  decodeDescriptor,
  encodeDescriptor,
  replaceParts,
  type SecurityDescriptor,
  SecurityInformation,
  selectParts,
} from './descriptor.ts';
import { synthesise } from './new-descriptor.ts';
import { decodeSid, encodeSid, WellKnownSid } from './sid.ts';

/** The descriptor from smbd 4.17 for owner 1000, group 1001 and the mode. */
const SMBD_FILE_644 =
  '0100049014000000240000000000000034000000010200000000001601000000e8030000010200000000001602000000e903000002004c00' +
  '03000000000018009f011200010200000000001601000000e80300000000180089001200010200000000001602000000e903000000001400' +
  '89001200010100000000000100000000';
const SMBD_DIRECTORY_755 =
  '0100049014000000240000000000000034000000010200000000001601000000e8030000010200000000001602000000e903000002004c00' +
  '0300000000001800ff011f00010200000000001601000000e803000000001800a9001200010200000000001602000000e903000000001400' +
  'a9001200010100000000000100000000';

const u32 = fc.nat(0xffffffff);
const sid = fc.tuple(fc.nat(2 ** 48 - 1), fc.array(u32, { maxLength: 15 })).map(([authority, parts]) => {
  const text = authority < 2 ** 32 ? authority.toString() : `0x${authority.toString(16).padStart(12, '0')}`;
  return ['S-1', text, ...parts].join('-');
});
const plain = fc.record({ type: fc.constantFrom(0, 1, 2, 0x11), flags: fc.nat(255), mask: u32, sid });
const objectAce = fc.constantFrom<Ace>(
  {
    type: AceType.ACCESS_ALLOWED_OBJECT,
    flags: 0,
    mask: 1,
    sid: 'S-1-1-0',
    object: Buffer.from('01000000'.padEnd(40, 'a'), 'hex'),
  },
  {
    type: AceType.ACCESS_DENIED_CALLBACK,
    flags: 0,
    mask: 1,
    sid: 'S-1-1-0',
    data: Buffer.from('6172747800000000', 'hex'),
  },
);
const acl = fc.option(
  fc.record({
    revision: fc.constantFrom(2, 4),
    aces: fc.array<Ace>(fc.oneof(plain, objectAce), { maxLength: 5 }),
  }),
);
const descriptor: fc.Arbitrary<SecurityDescriptor> = fc.record({
  control: fc
    .nat(0xffff)
    .map((bits) => bits & ~(Control.DACL_PRESENT | Control.SACL_PRESENT | Control.SELF_RELATIVE)),
  owner: fc.option(sid, { nil: undefined }),
  group: fc.option(sid, { nil: undefined }),
  sacl: fc.option(acl, { nil: undefined }),
  dacl: fc.option(acl, { nil: undefined }),
});

describe('SID', () => {
  it('round-trips', () => {
    fc.assert(fc.property(sid, (text) => decodeSid(encodeSid(text)) === text));
    expect(encodeSid(WellKnownSid.ADMINISTRATORS).toString('hex')).toBe('01020000000000052000000020020000');
  });

  it('refuses text that is no SID', () => {
    for (const text of [
      '',
      'S-1',
      'S-2-5',
      'S-1-5-4294967296',
      `S-1-5${'-1'.repeat(16)}`,
      'S-1-0x1000000000000',
    ]) {
      expect(() => encodeSid(text)).toThrow(RangeError);
    }
  });
});

describe('security descriptor', () => {
  it('encodes POSIX modes byte for byte as smbd does', () => {
    const owner = { uid: 1000, gid: 1001 };
    expect(encodeDescriptor(synthesise({ ...owner, mode: 0o644, kind: 'file' })).toString('hex')).toBe(
      SMBD_FILE_644,
    );
    expect(encodeDescriptor(synthesise({ ...owner, mode: 0o755, kind: 'directory' })).toString('hex')).toBe(
      SMBD_DIRECTORY_755,
    );
    expect(decodeDescriptor(Buffer.from(SMBD_FILE_644, 'hex'))).toEqual({
      ...synthesise({ ...owner, mode: 0o644, kind: 'file' }),
      sacl: undefined,
    });
  });

  it('round-trips', () => {
    fc.assert(
      fc.property(descriptor, (value) => {
        expect(decodeDescriptor(encodeDescriptor(value))).toEqual(value);
      }),
    );
  });

  it('answers any bytes with a descriptor or INVALID_SECURITY_DESCR', () => {
    const golden = Buffer.from(SMBD_FILE_644, 'hex');
    const refused = (bytes: Buffer): void => {
      try {
        decodeDescriptor(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(StatusError);
        expect((error as StatusError).status).toBe(Status.INVALID_SECURITY_DESCR);
      }
    };
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat(golden.length - 1), byte: fc.nat(255) }), { maxLength: 6 }),
        fc.nat(golden.length),
        (changes, length) => {
          const bytes = Buffer.from(golden);
          for (const { at, byte } of changes) bytes[at] = byte;
          refused(bytes.subarray(0, length));
        },
      ),
      { numRuns: 500 },
    );
    expect(() => decodeDescriptor(Buffer.alloc(65_537))).toThrow(StatusError);
  });

  it.each([
    ['an ACE count beyond the ACL', 0x38, 'ffff'],
    ['an ACL beyond the buffer', 0x36, 'ffff'],
    ['an ACE shorter than its header', 0x3e, '0400'],
    ['an ACE whose SID does not fit', 0x3e, '1000'],
    ['an owner inside the header', 4, '04000000'],
    ['an owner far away', 4, 'ffffffff'],
    ['too many sub-authorities', 0x15, 'ff'],
  ])('refuses %s', (_why, at, hex) => {
    const bytes = Buffer.from(SMBD_FILE_644, 'hex');
    Buffer.from(hex, 'hex').copy(bytes, at);
    expect(() => decodeDescriptor(bytes)).toThrow(StatusError);
  });

  it('gives the parts that are asked for', () => {
    const whole: SecurityDescriptor = {
      control: Control.DACL_PROTECTED | Control.SACL_AUTO_INHERITED,
      owner: 'S-1-1-0',
      group: 'S-1-2-0',
      dacl: null,
      sacl: { revision: 2, aces: [] },
    };
    expect(selectParts(whole, SecurityInformation.OWNER)).toMatchObject({
      control: 0,
      owner: 'S-1-1-0',
      group: undefined,
    });
    expect(selectParts(whole, SecurityInformation.DACL)).toMatchObject({
      control: Control.DACL_PROTECTED,
      dacl: null,
    });
    expect(selectParts(whole, SecurityInformation.SACL).control).toBe(Control.SACL_AUTO_INHERITED);
    expect(selectParts(whole, SecurityInformation.SACL).dacl).toBeUndefined();
  });

  it('replaces only what is named, with generic rights mapped', () => {
    const stored = synthesise({ mode: 0o600, uid: 1, gid: 2, kind: 'file' });
    const both = Control.DACL_AUTO_INHERIT_REQ | Control.DACL_AUTO_INHERITED;
    const incoming: SecurityDescriptor = {
      control: both,
      owner: 'S-1-5-18',
      dacl: { revision: 2, aces: [allow('S-1-1-0', 0x10000000), allow('S-1-1-0', 0x80000000, 0x0b)] },
    };
    const result = replaceParts(stored, incoming, SecurityInformation.DACL);
    expect(result.owner).toBe('S-1-22-1-1');
    expect(result.control).toBe(Control.DACL_AUTO_INHERITED);
    expect(result.dacl?.aces.map((ace) => ace.mask)).toEqual([0x1f01ff, 0x80000000]);
    expect(replaceParts(stored, incoming, SecurityInformation.OWNER)).toEqual({
      ...stored,
      owner: 'S-1-5-18',
      sacl: undefined,
    });
    const unasked = { ...incoming, control: Control.DACL_AUTO_INHERITED };
    expect(replaceParts(stored, unasked, SecurityInformation.DACL).control).toBe(0);
  });
});

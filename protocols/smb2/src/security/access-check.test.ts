import { describe, expect, it } from 'vitest';
import { Access } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';
import { accessCheck } from './access-check.ts';
import { AceType, type Ace, allow } from './acl.ts';
import type { SecurityDescriptor } from './descriptor.ts';
import { mapGeneric } from './rights.ts';
import { WellKnownSid } from './sid.ts';

const alice = 'S-1-5-21-1-2-3-1001';
const bob = 'S-1-5-21-1-2-3-1002';
const identity = { sids: [alice, WellKnownSid.EVERYONE] };

const deny = (sid: string, mask: number, flags = 0): Ace => ({
  type: AceType.ACCESS_DENIED,
  flags,
  mask,
  sid,
});
const withAces = (aces: Ace[], owner = bob): SecurityDescriptor => ({
  control: 0,
  owner,
  group: owner,
  dacl: { revision: 2, aces },
});
const denied = { status: Status.ACCESS_DENIED, granted: 0 };
const granted = (mask: number): object => ({ status: Status.SUCCESS, granted: mask });

describe('mapGeneric', () => {
  it('maps as [MS-SMB2] 2.2.13.1 says for files', () => {
    expect(mapGeneric(Access.GENERIC_READ)).toBe(0x120089);
    expect(mapGeneric(Access.GENERIC_WRITE)).toBe(0x120116);
    expect(mapGeneric(Access.GENERIC_EXECUTE)).toBe(0x1200a0);
    expect(mapGeneric(Access.GENERIC_ALL)).toBe(0x1f01ff);
    expect(mapGeneric(0x80000000 | Access.MAXIMUM_ALLOWED)).toBe(0x02120089);
  });
});

describe('accessCheck', () => {
  it('allows everything without a DACL and nothing with an empty one', () => {
    expect(accessCheck({ control: 0, owner: bob, dacl: null }, identity, Access.ALL)).toEqual(
      granted(Access.ALL),
    );
    expect(accessCheck({ control: 0 }, identity, Access.MAXIMUM_ALLOWED)).toEqual(granted(Access.ALL));
    expect(accessCheck(withAces([]), identity, Access.READ_DATA)).toEqual(denied);
    expect(accessCheck(withAces([]), identity, Access.MAXIMUM_ALLOWED)).toEqual(denied);
  });

  it('lets the first entry that speaks of a right decide', () => {
    const first = withAces([deny(alice, Access.WRITE_DATA), allow(WellKnownSid.EVERYONE, Access.ALL)]);
    expect(accessCheck(first, identity, Access.WRITE_DATA)).toEqual(denied);
    expect(accessCheck(first, identity, Access.READ_DATA)).toEqual(granted(Access.READ_DATA));
    expect(accessCheck(first, identity, Access.MAXIMUM_ALLOWED)).toEqual(
      granted(Access.ALL & ~Access.WRITE_DATA),
    );
    const last = withAces([allow(WellKnownSid.EVERYONE, Access.ALL), deny(alice, Access.WRITE_DATA)]);
    expect(accessCheck(last, identity, Access.GENERIC_WRITE)).toEqual(granted(0x120116));
  });

  it('wants every right that is named beside MAXIMUM_ALLOWED', () => {
    const readOnly = withAces([allow(WellKnownSid.EVERYONE, Access.GENERIC_READ)]);
    expect(accessCheck(readOnly, identity, Access.MAXIMUM_ALLOWED | Access.READ_DATA)).toEqual(
      granted(0x120089),
    );
    expect(accessCheck(readOnly, identity, Access.MAXIMUM_ALLOWED | Access.WRITE_DATA)).toEqual(denied);
  });

  it('gives the owner READ_CONTROL and WRITE_DAC even when denied, unless OWNER RIGHTS says otherwise', () => {
    const rights = Access.READ_CONTROL | Access.WRITE_DAC;
    expect(accessCheck(withAces([deny(alice, Access.ALL)], alice), identity, rights)).toEqual(
      granted(rights),
    );
    expect(accessCheck(withAces([], alice), identity, Access.MAXIMUM_ALLOWED)).toEqual(granted(rights));
    const limited = withAces([allow(WellKnownSid.OWNER_RIGHTS, Access.READ_CONTROL)], alice);
    expect(accessCheck(limited, identity, Access.READ_CONTROL)).toEqual(granted(Access.READ_CONTROL));
    expect(accessCheck(limited, identity, rights)).toEqual(denied);
    expect(accessCheck({ ...limited, owner: bob }, identity, Access.READ_CONTROL)).toEqual(denied);
  });

  it('passes over inherit-only and conditional permissions, but not conditional denials', () => {
    const everyone = WellKnownSid.EVERYONE;
    expect(accessCheck(withAces([allow(everyone, Access.ALL, 0x0b)]), identity, Access.READ_DATA)).toEqual(
      denied,
    );
    const conditional = { ...allow(everyone, Access.ALL), type: AceType.ACCESS_ALLOWED_CALLBACK };
    expect(accessCheck(withAces([conditional]), identity, Access.READ_DATA)).toEqual(denied);
    const forbidden = { ...conditional, type: AceType.ACCESS_DENIED_CALLBACK };
    expect(accessCheck(withAces([forbidden, allow(everyone, Access.ALL)]), identity, 1)).toEqual(denied);
  });

  it('asks for privileges where only they help', () => {
    const none = withAces([]);
    expect(accessCheck(none, identity, Access.SYSTEM_SECURITY).status).toBe(Status.PRIVILEGE_NOT_HELD);
    expect(accessCheck(none, { ...identity, security: true }, Access.SYSTEM_SECURITY)).toEqual(
      granted(0x01000000),
    );
    expect(accessCheck(none, { ...identity, takeOwnership: true }, Access.WRITE_OWNER)).toEqual(
      granted(Access.WRITE_OWNER),
    );
  });
});

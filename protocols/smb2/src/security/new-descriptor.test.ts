import { describe, expect, it } from 'vitest';
import { AceFlags, allow } from './acl.ts';
import { Control, type SecurityDescriptor } from './descriptor.ts';
import { inherit, synthesise } from './new-descriptor.ts';
import { WellKnownSid } from './sid.ts';

const OI = AceFlags.OBJECT_INHERIT;
const CI = AceFlags.CONTAINER_INHERIT;
const NP = AceFlags.NO_PROPAGATE_INHERIT;
const IO = AceFlags.INHERIT_ONLY;
const creator = { owner: 'S-1-5-21-1-2-3-1001', group: 'S-1-5-21-1-2-3-513' };
const sid = 'S-1-5-21-1-2-3-1002';

const parentWith = (flags: number, trustee = sid, mask = 0x1f01ff): SecurityDescriptor => ({
  control: 0,
  owner: 'S-1-5-18',
  dacl: { revision: 2, aces: [allow(trustee, mask, flags)] },
});
const flagsOf = (descriptor: SecurityDescriptor): (number | undefined)[] =>
  (descriptor.dacl?.aces ?? []).filter((ace) => ace.sid === sid).map((ace) => ace.flags);

describe('synthesise', () => {
  /** Masks from smbd 4.17 for owner, group and everybody. */
  it.each([
    ['file', 0o644, 0x12019f, 0x120089, 0x120089],
    ['file', 0o600, 0x12019f, 0, 0],
    ['file', 0o755, 0x1e01ff, 0x1200a9, 0x1200a9],
    ['file', 0o777, 0x1e01ff, 0x1e01ff, 0x1e01ff],
    ['file', 0o444, 0x120089, 0x120089, 0x120089],
    ['directory', 0o755, 0x1f01ff, 0x1200a9, 0x1200a9],
    ['directory', 0o700, 0x1f01ff, 0, 0],
  ] as const)('shows a %s of mode %i as smbd does', (kind, mode, ...masks) => {
    const descriptor = synthesise({ kind, mode, uid: 1000, gid: 1001 });
    expect(descriptor.control).toBe(Control.DACL_PROTECTED);
    expect(descriptor.dacl?.aces.map((ace) => [ace.sid, ace.mask])).toEqual([
      ['S-1-22-1-1000', masks[0]],
      ['S-1-22-2-1001', masks[1]],
      ['S-1-1-0', masks[2]],
    ]);
  });
});

describe('inherit', () => {
  /** Flags of the parent's entry, of the file's entries, of the directory's entries. */
  it.each([
    [0, [], []],
    [OI, [0], [OI | IO]],
    [CI, [], [CI]],
    [OI | CI, [0], [OI | CI]],
    [OI | NP, [0], []],
    [CI | NP, [], [0]],
    [OI | CI | NP, [0], [0]],
    [IO, [], []],
    [OI | IO, [0], [OI | IO]],
    [CI | IO, [], [CI]],
    [OI | CI | IO, [0], [OI | CI]],
    [OI | CI | NP | IO, [0], [0]],
    [OI | CI | AceFlags.INHERITED, [0], [OI | CI]],
  ])('hands an entry with flags %i down', (flags, file, directory) => {
    expect(flagsOf(inherit(parentWith(flags), 'file', creator))).toEqual(file);
    expect(flagsOf(inherit(parentWith(flags), 'directory', creator))).toEqual(directory);
  });

  it('replaces CREATOR OWNER and hands it further down', () => {
    const parent = parentWith(OI | CI, WellKnownSid.CREATOR_OWNER, 0x10000000);
    expect(inherit(parent, 'directory', creator).dacl?.aces).toEqual([
      allow(creator.owner, 0x1f01ff),
      allow(WellKnownSid.CREATOR_OWNER, 0x10000000, OI | CI | IO),
    ]);
    expect(inherit(parent, 'file', creator).dacl?.aces).toEqual([allow(creator.owner, 0x1f01ff)]);
  });

  it('marks entries as inherited below a directory that does', () => {
    const parent = { ...parentWith(OI), control: Control.DACL_AUTO_INHERITED };
    const child = inherit(parent, 'file', creator);
    expect(flagsOf(child)).toEqual([AceFlags.INHERITED]);
    expect(child.control).toBe(Control.DACL_AUTO_INHERITED);
  });

  it('falls back to full control for the creator and the system', () => {
    for (const parent of [undefined, parentWith(0)]) {
      expect(inherit(parent, 'file', creator)).toMatchObject({
        control: 0,
        ...creator,
        dacl: { aces: [allow(creator.owner, 0x1f01ff), allow('S-1-5-18', 0x1f01ff)] },
      });
    }
  });

  it('takes what the creator asked for first', () => {
    const explicit: SecurityDescriptor = { control: Control.DACL_PROTECTED, owner: sid, dacl: null };
    const child = inherit(parentWith(OI), 'file', creator, explicit);
    expect(child).toMatchObject({
      control: Control.DACL_PROTECTED,
      owner: sid,
      group: creator.group,
      dacl: null,
    });
  });
});

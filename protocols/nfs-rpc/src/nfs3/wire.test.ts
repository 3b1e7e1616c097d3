import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { FileAttributes, SetAttributes } from '../backend.ts';
import { type Codec, decodeOne, encodeOne } from '../xdr/codec.ts';
import { XdrWriter } from '../xdr/writer.ts';
import { accessShape } from './access.ts';
import { commitShape } from './commit.ts';
import { createHow } from './create.ts';
import { fsinfoShape } from './fsinfo.ts';
import { fsstatShape } from './fsstat.ts';
import { linkShape } from './link.ts';
import { lookupShape } from './lookup.ts';
import { mknodData } from './mknod.ts';
import { pathconfShape } from './pathconf.ts';
import { readShape } from './read.ts';
import { readdirShape } from './readdir.ts';
import { readdirplusShape } from './readdirplus.ts';
import { readlinkShape } from './readlink.ts';
import { removeShape } from './remove.ts';
import { renameShape } from './rename.ts';
import { setattrShape } from './setattr.ts';
import { symlinkShape } from './symlink.ts';
import {
  created,
  directoryOperation,
  fileAttributes,
  putFileAttributes,
  putPostOpAttr,
  postOpAttr,
  results,
  setAttributes,
  wccData,
} from './wire.ts';
import { writeShape } from './write.ts';

function golden<T>(codec: Codec<T>, value: T, hex: string): void {
  const wire = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
  expect(encodeOne(codec, value).toString('hex')).toBe(wire.toString('hex'));
  expect(decodeOne(codec, wire)).toEqual(value);
}

const attributes: FileAttributes = {
  type: 1,
  mode: 0o644,
  nlink: 1,
  uid: 1000,
  gid: 100,
  size: 0x1_0000_0002,
  used: 0x1_0000_1000,
  rdevMajor: 8,
  rdevMinor: 1,
  fsidHigh: 0xaabbccdd,
  fsidLow: 0x11223344,
  fileidHigh: 0x7fffffff,
  fileidLow: 0xfffffffe,
  atime: { seconds: 10, nanoseconds: 11 },
  mtime: { seconds: 12, nanoseconds: 13 },
  ctime: { seconds: 14, nanoseconds: 15 },
};
const fattr3 = `00000001 000001a4 00000001 000003e8 00000064 00000001 00000002 00000001 00001000
  00000008 00000001 aabbccdd 11223344 7fffffff fffffffe
  0000000a 0000000b 0000000c 0000000d 0000000e 0000000f`;
const handle = Buffer.from('0102030405060708', 'hex');
const fh3 = '00000008 0102030405060708';
const where = { directory: handle, name: 'ab' };
const diropargs3 = `${fh3} 00000002 61620000`;
const verf = Buffer.from('7665726669657221', 'hex');
const noWcc = { before: undefined, after: undefined };
const wcc = {
  before: {
    size: 5,
    mtime: { seconds: 1, nanoseconds: 2 },
    ctime: { seconds: 3, nanoseconds: 4 },
  },
  after: undefined,
};
const wcc_data = '00000001 0000000000000005 00000001 00000002 00000003 00000004 00000000';

describe('NFSv3 structures (RFC 1813)', () => {
  it('attributes and weak cache consistency', () => {
    golden(fileAttributes, attributes, fattr3);
    golden(postOpAttr, attributes, `00000001 ${fattr3}`);
    golden(wccData, wcc, wcc_data);
    golden(directoryOperation, where, diropargs3);
  });

  it('what SETATTR and the creating procedures ask for', () => {
    golden(setAttributes, {}, '00000000 00000000 00000000 00000000 00000000 00000000');
    golden(
      setAttributes,
      {
        mode: 0o600,
        uid: 1,
        gid: 2,
        size: 2n ** 63n,
        atime: 'server',
        mtime: { seconds: 5, nanoseconds: 6 },
      },
      `00000001 00000180 00000001 00000001 00000001 00000002 00000001 8000000000000000
       00000001 00000002 00000005 00000006`,
    );
    const none = '00000000 00000000 00000000 00000000 00000000 00000000';
    golden(
      setattrShape.args,
      { object: handle, attributes: {}, guard: { seconds: 1, nanoseconds: 2 } },
      `${fh3} ${none} 00000001 00000001 00000002`,
    );
    golden(createHow, { mode: 'unchecked', attributes: {} }, `00000000 ${none}`);
    golden(createHow, { mode: 'guarded', attributes: {} }, `00000001 ${none}`);
    golden(createHow, { mode: 'exclusive', verifier: verf }, `00000002 ${verf.toString('hex')}`);
    golden(
      symlinkShape.args,
      { where, attributes: {}, target: 'x/y' },
      `${diropargs3} ${none} 00000003 782f7900`,
    );
    golden(
      mknodData,
      { type: 4, attributes: {}, rdevMajor: 1, rdevMinor: 3 },
      `00000004 ${none} 00000001 00000003`,
    );
    golden(mknodData, { type: 7, attributes: {}, rdevMajor: 0, rdevMinor: 0 }, `00000007 ${none}`);
  });

  it('arguments', () => {
    golden(accessShape.args, { object: handle, access: 0x3f }, `${fh3} 0000003f`);
    golden(
      readShape.args,
      { file: handle, offset: 2 ** 33, count: 4096 },
      `${fh3} 0000000200000000 00001000`,
    );
    golden(
      writeShape.args,
      { file: handle, offset: 1, count: 3, stable: 2, data: Buffer.from('xyz') },
      `${fh3} 0000000000000001 00000003 00000002 00000003 78797a00`,
    );
    golden(renameShape.args, { from: where, to: where }, diropargs3 + diropargs3);
    golden(linkShape.args, { file: handle, link: where }, fh3 + diropargs3);
    golden(
      readdirShape.args,
      { directory: handle, cookie: 3, verifier: verf, count: 512 },
      `${fh3} 0000000000000003 ${verf.toString('hex')} 00000200`,
    );
    golden(
      readdirplusShape.args,
      { directory: handle, cookie: 3, verifier: verf, directoryCount: 512, maximumCount: 4096 },
      `${fh3} 0000000000000003 ${verf.toString('hex')} 00000200 00001000`,
    );
    golden(
      commitShape.args,
      { file: handle, offset: 2n ** 64n - 1n, count: 0 },
      `${fh3} ffffffffffffffff 00000000`,
    );
  });

  it('results of looking', () => {
    golden(
      lookupShape.ok,
      { object: handle, attributes, directoryAttributes: undefined },
      `${fh3} 00000001 ${fattr3} 00000000`,
    );
    golden(accessShape.ok, { attributes: undefined, access: 1 }, '00000000 00000001');
    golden(readlinkShape.ok, { attributes: undefined, target: 'to' }, '00000000 00000002 746f0000');
    golden(
      readShape.ok,
      { attributes: undefined, count: 3, eof: true, data: Buffer.from('abc') },
      '00000000 00000003 00000001 00000003 61626300',
    );
    golden(
      readdirShape.ok,
      {
        attributes: undefined,
        verifier: verf,
        entries: [{ fileidHigh: 1, fileidLow: 2, name: 'a', cookie: 9 }],
        eof: true,
      },
      `00000000 ${verf.toString('hex')} 00000001 00000001 00000002 00000001 61000000 0000000000000009 00000000 00000001`,
    );
    golden(
      readdirplusShape.ok,
      {
        attributes: undefined,
        verifier: verf,
        entries: [{ fileidHigh: 1, fileidLow: 2, name: 'a', cookie: 9, attributes, handle }],
        eof: false,
      },
      `00000000 ${verf.toString('hex')} 00000001 00000001 00000002 00000001 61000000 0000000000000009
       00000001 ${fattr3} 00000001 ${fh3} 00000000 00000000`,
    );
  });

  it('results of changing', () => {
    golden(created, { handle, attributes: undefined, wcc }, `00000001 ${fh3} 00000000 ${wcc_data}`);
    golden(
      writeShape.ok,
      { wcc, count: 3, committed: 2, verifier: verf },
      `${wcc_data} 00000003 00000002 ${verf.toString('hex')}`,
    );
    golden(removeShape.ok, { wcc }, wcc_data);
    golden(renameShape.ok, { fromWcc: wcc, toWcc: noWcc }, `${wcc_data} 00000000 00000000`);
    golden(linkShape.ok, { attributes: undefined, directoryWcc: wcc }, `00000000 ${wcc_data}`);
    golden(commitShape.ok, { wcc, verifier: verf }, `${wcc_data} ${verf.toString('hex')}`);
    golden(
      results(removeShape.ok, removeShape.failed),
      { status: 30, wcc: noWcc },
      '0000001e 00000000 00000000',
    );
  });

  it('the file system', () => {
    golden(
      fsstatShape.ok,
      {
        attributes: undefined,
        totalBytes: 1,
        freeBytes: 2,
        availableBytes: 3,
        totalFiles: 4,
        freeFiles: 5,
        availableFiles: 6,
        invariantSeconds: 7,
      },
      `00000000 0000000000000001 0000000000000002 0000000000000003
       0000000000000004 0000000000000005 0000000000000006 00000007`,
    );
    golden(
      fsinfoShape.ok,
      {
        attributes: undefined,
        readMaximum: 1,
        readPreferred: 2,
        readMultiple: 3,
        writeMaximum: 4,
        writePreferred: 5,
        writeMultiple: 6,
        directoryPreferred: 7,
        maxFileSize: 8,
        timeDelta: { seconds: 9, nanoseconds: 10 },
        properties: 0x1b,
      },
      `00000000 00000001 00000002 00000003 00000004 00000005 00000006 00000007
       0000000000000008 00000009 0000000a 0000001b`,
    );
    golden(
      pathconfShape.ok,
      {
        attributes: undefined,
        linkMax: 32,
        nameMax: 255,
        noTruncation: true,
        chownRestricted: false,
        caseInsensitive: false,
        casePreserving: true,
      },
      '00000000 00000020 000000ff 00000001 00000000 00000000 00000001',
    );
  });
});

const u32 = fc.nat({ max: 0xffff_ffff });
const size = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const time = fc.record({ seconds: u32, nanoseconds: fc.nat({ max: 999_999_999 }) });
const anyAttributes: fc.Arbitrary<FileAttributes> = fc.record({
  type: fc.constantFrom(1, 2, 3, 4, 5, 6, 7),
  mode: fc.nat({ max: 0o7777 }),
  nlink: u32,
  uid: u32,
  gid: u32,
  size,
  used: size,
  rdevMajor: u32,
  rdevMinor: u32,
  fsidHigh: u32,
  fsidLow: u32,
  fileidHigh: u32,
  fileidLow: u32,
  atime: time,
  mtime: time,
  ctime: time,
});

describe('attributes written by hand', () => {
  it('are the bytes of the declaration', () => {
    fc.assert(
      fc.property(anyAttributes, fc.nat(300), (value, offset) => {
        const writer = new XdrWriter(undefined, offset);
        putFileAttributes(writer, value);
        putPostOpAttr(writer, value);
        putPostOpAttr(writer, undefined);
        const declared = [
          encodeOne(fileAttributes, value),
          encodeOne(postOpAttr, value),
          encodeOne(postOpAttr, undefined),
        ];
        expect(writer.bytes().subarray(offset).equals(Buffer.concat(declared))).toBe(true);
      }),
    );
  });

  it('sattr3 survives the round trip', () => {
    const wanted = fc.record(
      {
        mode: fc.nat({ max: 0o7777 }),
        uid: u32,
        gid: u32,
        size: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        atime: fc.oneof(fc.constant<'server'>('server'), time),
        mtime: fc.oneof(fc.constant<'server'>('server'), time),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(wanted, (value: SetAttributes) => {
        expect(decodeOne(setAttributes, encodeOne(setAttributes, value))).toEqual(value);
      }),
    );
  });
});

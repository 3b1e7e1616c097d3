import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { MalformedError } from './malformed.ts';
import { closeRequest, closeResponse, createRequest, createResponse } from './create.ts';
import { decodeHeader, encodeHeader, UNSOLICITED } from './header.ts';
import {
  decodeRead,
  encodeRead,
  lockElement,
  lockRequest,
  readRequest,
  readResponse,
  writeRequest,
} from './io.ts';
import { negotiateRequest, negotiateResponse } from './negotiate.ts';
import { leaseBreakNotification, oplockBreak } from './oplock-break.ts';
import {
  changeNotifyRequest,
  ioctlRequest,
  queryDirectoryRequest,
  queryInfoRequest,
  setInfoRequest,
} from './query.ts';
import { sessionSetupRequest, treeConnectResponse } from './session.ts';
import { area, structure, u16, u32 } from './struct.ts';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');

/** Golden bytes: packets as clients and servers send them, and their values. */
const golden: { of: ReturnType<typeof structure>; bytes: Buffer; values: Record<string, unknown> }[] = [
  {
    of: closeRequest,
    bytes: hex('1800 0100 00000000 0102030405060708 1112131415161718'),
    values: { flags: 1, fileId: { persistent: 0x0807060504030201n, volatile: 0x1817161514131211n } },
  },
  {
    of: sessionSetupRequest,
    bytes: hex('1900 00 01 01000000 00000000 5800 4a00 0000000000000000'),
    values: {
      flags: 0,
      securityMode: 1,
      capabilities: 1,
      channel: 0,
      securityBufferOffset: 0x58,
      securityBufferLength: 0x4a,
      previousSessionId: 0n,
    },
  },
  {
    of: treeConnectResponse,
    bytes: hex('1000 01 00 00080000 00000000 a9001200'),
    values: { shareType: 1, shareFlags: 0x800, capabilities: 0, maximalAccess: 0x001200a9 },
  },
  {
    of: oplockBreak,
    bytes: hex('1800 01 0000000000 0100000000000000 0200000000000000'),
    values: { oplockLevel: 1, fileId: { persistent: 1n, volatile: 2n } },
  },
  {
    of: lockRequest,
    bytes: hex('3000 0100 21000000 0100000000000000 0200000000000000'),
    values: { lockCount: 1, lockSequence: 0x21, fileId: { persistent: 1n, volatile: 2n } },
  },
  {
    of: lockElement,
    bytes: hex('ffffffffffffffff 0100000000000000 12000000 00000000'),
    values: { offset: 0xffffffffffffffffn, length: 1n, flags: 0x12 },
  },
];

describe('structures', () => {
  it.each(golden)('$of.name reads and writes its golden bytes', ({ of, bytes, values }) => {
    expect(of.size).toBe(bytes.length);
    expect(of.decode(bytes)).toEqual(values);
    expect(of.toBuffer(values as never)).toEqual(bytes);
  });

  it('has the fixed sizes of the specification', () => {
    // StructureSize counts one byte for the variable part, which `size` does not include.
    const sizes: [{ size: number }, number][] = [
      [negotiateRequest, 36],
      [negotiateResponse, 64],
      [createRequest, 56],
      [createResponse, 88],
      [closeResponse, 60],
      [readRequest, 48],
      [readResponse, 16],
      [writeRequest, 48],
      [ioctlRequest, 56],
      [queryDirectoryRequest, 32],
      [changeNotifyRequest, 32],
      [queryInfoRequest, 40],
      [setInfoRequest, 32],
      [leaseBreakNotification, 44],
    ];
    for (const [{ size }, expected] of sizes) expect(size).toBe(expected);
  });

  it('refuses a short buffer and a wrong constant', () => {
    expect(() => closeRequest.decode(Buffer.alloc(23))).toThrow(MalformedError);
    expect(() => closeRequest.decode(Buffer.alloc(24))).toThrow(MalformedError);
    const pair = structure('pair', 'none', { one: u16, two: u32 });
    expect(pair.decode(hex('0100 02000000'))).toEqual({ one: 1, two: 2 });
  });

  it('finds areas only inside the message', () => {
    const packet = Buffer.alloc(100);
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), (offset, length) => {
        const fits = length === 0 || (offset >= 64 && offset + length <= 100);
        if (fits) expect(area(packet, offset, length, 64)).toHaveLength(length);
        else expect(() => area(packet, offset, length, 64)).toThrow(MalformedError);
      }),
    );
  });
});

describe('header', () => {
  it('reads a request', () => {
    const packet = hex(
      'fe534d42 4000 0100 00000000 0800 2000 08000000 00000000 0700000000000000 fffe0000 05000000' +
        '4900002800000000 00112233445566778899aabbccddeeff',
    );
    expect(decodeHeader(packet, 0)).toMatchObject({
      creditCharge: 1,
      command: 8,
      creditRequest: 32,
      flags: 8,
      messageId: 7,
      treeId: 5,
      sessionId: 0x28000049,
    });
    expect(() => decodeHeader(packet.subarray(0, 63), 0)).toThrow(MalformedError);
    packet[0] = 0xff;
    expect(() => decodeHeader(packet, 0)).toThrow(MalformedError);
  });

  it('writes what it reads, up to 53 bits', () => {
    const number = fc.maxSafeNat();
    fc.assert(
      fc.property(number, number, fc.nat(0xffffffff), (messageId, sessionId, treeId) => {
        const packet = Buffer.alloc(64, 0xee);
        encodeHeader(
          {
            creditCharge: 1,
            status: 0xc0000022,
            command: 5,
            credits: 9,
            flags: 1,
            messageId,
            asyncId: undefined,
            treeId,
            sessionId,
          },
          packet,
          0,
        );
        expect(decodeHeader(packet, 0)).toMatchObject({ messageId, sessionId, treeId, creditRequest: 9 });
        expect(packet.readUInt32LE(8)).toBe(0xc0000022);
      }),
    );
  });

  it('marks notifications with all ones', () => {
    const packet = Buffer.alloc(64);
    encodeHeader(
      {
        creditCharge: 0,
        status: 0,
        command: 18,
        credits: 0,
        flags: 1,
        messageId: UNSOLICITED,
        asyncId: undefined,
        treeId: 0,
        sessionId: 0,
      },
      packet,
      0,
    );
    expect(packet.readBigUInt64LE(24)).toBe(0xffffffffffffffffn);
  });
});

describe('READ by hand', () => {
  it('agrees with the declaration', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.maxSafeNat(), fc.nat(0xffffffff), (length, offset, minimumCount) => {
        const request = readRequest.toBuffer({
          padding: 80,
          flags: 0,
          length,
          offset,
          fileId: { persistent: 1n, volatile: 2n },
          minimumCount,
          channel: 0,
          remainingBytes: 0,
          channelInfoOffset: 0,
          channelInfoLength: 0,
        });
        expect(decodeRead(request, 0)).toEqual({ length, offset, minimumCount });
        const response = Buffer.alloc(16, 0xee);
        encodeRead(80, length, response, 0);
        expect(response).toEqual(
          readResponse.toBuffer({ dataOffset: 80, dataLength: length, dataRemaining: 0, flags: 0 }),
        );
      }),
    );
  });
});

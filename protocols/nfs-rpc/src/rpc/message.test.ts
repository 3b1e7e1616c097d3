import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type Codec, decodeOne, encodeOne } from '../xdr/codec.ts';
import { XdrReader } from '../xdr/reader.ts';
import { authSysParms, callMessage, replyMessage } from './message.ts';
import { SlabPool } from './pool.ts';
import { garbageArgs, ProgramTable, readCallHeader, rejectionReply, nullProcedure } from './program.ts';
import { ReplyWriter } from './reply.ts';

function golden<T>(codec: Codec<T>, value: T, hex: string): void {
  const wire = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
  expect(encodeOne(codec, value).toString('hex')).toBe(wire.toString('hex'));
  expect(decodeOne(codec, wire)).toEqual(value);
}

const none = { flavor: 0, body: Buffer.alloc(0) };

describe('RPC messages (RFC 5531)', () => {
  it('writes a call as §9 has it', () => {
    golden(
      callMessage,
      {
        xid: 0x11223344,
        type: 0,
        rpcVersion: 2,
        program: 100003,
        version: 3,
        procedure: 6,
        credential: { flavor: 1, body: Buffer.from('00000001', 'hex') },
        verifier: none,
      },
      '11223344 00000000 00000002 000186a3 00000003 00000006 00000001 00000004 00000001 00000000 00000000',
    );
  });

  it('writes AUTH_SYS as Appendix A has it', () => {
    golden(
      authSysParms,
      { stamp: 5, machineName: 'host1', uid: 1000, gid: 100, gids: [4, 24] },
      '00000005 00000005 686f737431000000 000003e8 00000064 00000002 00000004 00000018',
    );
    expect(() =>
      decodeOne(
        authSysParms,
        Buffer.concat([Buffer.alloc(16), Buffer.from('00000011', 'hex'), Buffer.alloc(68)]),
      ),
    ).toThrow();
  });

  it('writes every shape of a reply', () => {
    const accepted = (accepted: { acceptStatus: number; low?: number; high?: number }) => ({
      xid: 1,
      type: 1,
      body: { replyStatus: 0 as const, verifier: none, accepted },
    });
    golden(
      replyMessage,
      accepted({ acceptStatus: 0 }),
      '00000001 00000001 00000000 00000000 00000000 00000000',
    );
    golden(
      replyMessage,
      accepted({ acceptStatus: 2, low: 3, high: 3 }),
      '00000001 00000001 00000000 00000000 00000000 00000002 00000003 00000003',
    );
    golden(
      replyMessage,
      { xid: 1, type: 1, body: { replyStatus: 1, rejected: { rejectStatus: 0, low: 2, high: 2 } } },
      '00000001 00000001 00000001 00000000 00000002 00000002',
    );
    golden(
      replyMessage,
      { xid: 1, type: 1, body: { replyStatus: 1, rejected: { rejectStatus: 1, authStatus: 2 } } },
      '00000001 00000001 00000001 00000001 00000002',
    );
  });

  it('reads the header of a call by hand as the declaration does', () => {
    const u32 = fc.nat({ max: 0xffff_ffff });
    const auth = fc.record({
      flavor: u32,
      body: fc.uint8Array({ maxLength: 400 }).map((data) => Buffer.from(data)),
    });
    const call = fc.record({
      xid: u32,
      type: fc.constant(0),
      rpcVersion: u32,
      program: u32,
      version: u32,
      procedure: u32,
      credential: auth,
      verifier: auth,
    });
    fc.assert(
      fc.property(call, (message) => {
        const reader = new XdrReader(encodeOne(callMessage, message));
        const { credential, verifier: _verifier, type: _type, ...rest } = message;
        expect(readCallHeader(reader)).toEqual({
          ...rest,
          flavor: credential.flavor,
          credential: credential.body,
        });
        expect(reader.remaining).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('seals a reply with the same header as the declaration, and marks rejections', () => {
    const pool = new SlabPool(0);
    const reply = new ReplyWriter(pool, 8);
    reply.uint32(42);
    reply.seal(0xfeedface);
    expect(reply.wire().readUInt32BE(0)).toBe((0x8000_0000 | 28) >>> 0);
    const reader = new XdrReader(reply.wire().subarray(4));
    expect(replyMessage.decode(reader)).toEqual({
      xid: 0xfeedface,
      type: 1,
      body: { replyStatus: 0, verifier: none, accepted: { acceptStatus: 0 } },
    });
    expect(reader.uint32()).toBe(42);

    const rejected = rejectionReply(pool, 7, garbageArgs).wire();
    expect(rejected.readUInt32BE(0)).toBe((0x8000_0000 | (rejected.length - 4)) >>> 0);
    expect(decodeOne(replyMessage, rejected.subarray(4)).body).toMatchObject({
      accepted: { acceptStatus: 4 },
    });
  });

  it('serves a program number once', () => {
    const program = { number: 9, name: 'X', versions: new Map([[1, [nullProcedure]]]) };
    const table = new ProgramTable();
    table.add(program);
    expect(() => table.add(program)).toThrow('9');
  });
});

describe('SlabPool', () => {
  it('gives back what was released, by size class, and keeps no more than its bound', () => {
    const pool = new SlabPool(10_000);
    const small = pool.acquire(100);
    expect(small.buffer.length).toBe(1024);
    pool.release(small);
    expect(pool.pooledBytes).toBe(1024);
    expect(pool.acquire(1024)).toBe(small);
    for (let count = 0; count < 5; count++) pool.release(pool.acquire(100_000));
    expect(pool.pooledBytes).toBeLessThanOrEqual(10_000);
    expect(pool.acquire(5_000_000).buffer.length).toBe(5_000_000);
  });
});

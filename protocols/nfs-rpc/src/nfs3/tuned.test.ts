import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type FileAttributes, FileType } from '../backend.ts';
import { RpcCall, type CallLink } from '../rpc/call.ts';
import { SlabPool } from '../rpc/pool.ts';
import type { ReplyWriter } from '../rpc/reply.ts';
import { procedureNumber } from '../testing/harness.ts';
import { MemoryBackend } from '../testing/memory-backend.ts';
import { type Codec, encodeOne } from '../xdr/codec.ts';
import { XdrReader } from '../xdr/reader.ts';
import { getattrShape } from './getattr.ts';
import type { Shape } from './procedure.ts';
import { PageCache } from './page-cache.ts';
import { nfs3Program } from './program.ts';
import { readShape } from './read.ts';
import { readdirShape } from './readdir.ts';
import { readdirplusShape } from './readdirplus.ts';
import { results } from './wire.ts';

const pool = new SlabPool(16 << 20);
const link: CallLink = {
  peer: { transport: 'tcp', address: '127.0.0.1', port: 1 },
  pool,
  reserve: () => undefined,
  cancelReservation: () => undefined,
  bug: (error) => {
    throw error;
  },
};

/** Runs a tuned procedure and decodes its reply. The declared codec must encode the result to the same bytes. */
function check<A, Ok extends object, Failed extends object>(
  backend: MemoryBackend,
  shape: Shape<A, Ok, Failed>,
  args: A,
): { status: number } & Partial<Ok> {
  const row = nfs3Program(backend).versions.get(3)![procedureNumber(shape.name)]!;
  const call = new RpcCall(link, 1, { flavor: 'none' }, 'NFS', shape.name, 0);
  const reply = row.run(new XdrReader(encodeOne(shape.args, args)), call) as ReplyWriter;
  const body = Buffer.from(reply.wire().subarray(28));
  reply.release();
  const codec = results(shape.ok, shape.failed) as unknown as Codec<{ status: number } & Partial<Ok>>;
  const reader = new XdrReader(body);
  const value = codec.decode(reader);
  expect(reader.remaining).toBe(0);
  expect(body.length % 4).toBe(0);
  expect(encodeOne(codec, value).equals(body)).toBe(true);
  return value;
}

const u32 = fc.nat({ max: 0xffff_ffff });
const time = fc.record({ seconds: u32, nanoseconds: u32 });
const size = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const shown = fc.record({
  size,
  used: size,
  uid: u32,
  fsidHigh: u32,
  fileidLow: u32,
  mtime: time,
  ctime: time,
});

function showing(backend: MemoryBackend, changed: Partial<FileAttributes>): void {
  const getAttributes = backend.getAttributes.bind(backend);
  backend.getAttributes = (node) => ({ ...getAttributes(node), ...changed });
}

describe('procedures written by hand', () => {
  it('GETATTR', () => {
    fc.assert(
      fc.property(shown, (changed) => {
        const backend = new MemoryBackend();
        showing(backend, changed);
        const { attributes } = check(backend, getattrShape, { object: backend.handle(backend.root) });
        expect(attributes).toMatchObject(changed);
      }),
      { numRuns: 50 },
    );
  });

  it('READ: any size, offset and count, with and without attributes, in used buffers', () => {
    const data = fc.uint8Array({ maxLength: 6000 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(
        data,
        fc.nat(6100),
        fc.nat(6100),
        fc.boolean(),
        shown,
        (bytes, offset, count, cached, changed) => {
          const backend = new MemoryBackend();
          const file = backend.handle(backend.add(backend.root, 'f', FileType.regular, bytes));
          backend.attributesCached = cached;
          showing(backend, changed);
          const answer = check(backend, readShape, { file, offset, count });
          const expected = bytes.subarray(offset, offset + count);
          expect(answer).toMatchObject({
            status: 0,
            count: expected.length,
            eof: offset + count >= bytes.length,
          });
          expect(answer.data!.equals(expected)).toBe(true);
          expect(answer.attributes === undefined).toBe(!cached);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('READDIR and READDIRPLUS: the whole directory, page by page, never above the budget', () => {
    const name = fc
      .uint8Array({ minLength: 1, maxLength: 60 })
      .map((bytes) => Buffer.from(bytes).toString('latin1').replaceAll(/[/\0]/g, '_'));
    const names = fc.uniqueArray(name, { maxLength: 30 });
    const budgets = fc.integer({ min: 400, max: 4000 });
    fc.assert(
      fc.property(names, budgets, budgets, fc.boolean(), (all, count, directoryCount, cached) => {
        const backend = new MemoryBackend();
        const directory = backend.handle(backend.root);
        for (const each of all) backend.add(backend.root, each, FileType.regular);
        backend.attributesCached = cached;
        const verifier = Buffer.alloc(8);
        for (const plus of [false, true]) {
          const seen: string[] = [];
          for (let cookie = 0, eof: boolean | undefined = false; eof !== true;) {
            const page = plus
              ? check(backend, readdirplusShape, {
                  directory,
                  cookie,
                  verifier,
                  directoryCount,
                  maximumCount: count,
                })
              : check(backend, readdirShape, { directory, cookie, verifier, count });
            expect(page.status).toBe(0);
            const ok = (plus ? readdirplusShape.ok : readdirShape.ok) as Codec<unknown>;
            expect(encodeOne(ok, page).length).toBeLessThanOrEqual(count);
            seen.push(...page.entries!.map((entry) => entry.name));
            cookie = page.entries!.at(-1)?.cookie ?? cookie;
            eof = page.eof;
          }
          expect(seen).toEqual(['.', '..', ...all]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('READDIRPLUS: pages that are kept for an edition are the same as those of no edition', () => {
    const page = fc.record({
      from: fc.nat(20),
      directoryCount: fc.integer({ min: 0, max: 3000 }),
      maximumCount: fc.integer({ min: 400, max: 4000 }),
    });
    const steps = fc.array(fc.record({ page, changes: fc.option(u32) }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(steps, fc.boolean(), (all, cached) => {
        const backend = new MemoryBackend();
        const directory = backend.handle(backend.root);
        for (let i = 0; i < 20; i++) backend.add(backend.root, `film-${i}.mkv`, FileType.regular);
        backend.attributesCached = cached;
        let edition = {};
        for (const { page: wanted, changes } of all) {
          if (changes !== null) {
            showing(backend, { uid: changes });
            edition = {};
          }
          const { from: cookie, ...budget } = wanted;
          const args = { directory, cookie, verifier: Buffer.alloc(8), ...budget };
          backend.edition = edition;
          const kept = [1, 2].map(() => check(backend, readdirplusShape, args));
          backend.edition = undefined;
          expect(kept).toEqual([1, 2].map(() => check(backend, readdirplusShape, args)));
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('kept pages', () => {
  it('never take more bytes than allowed, and the oldest edition goes first', () => {
    const pages = new PageCache(1000);
    const [first, second] = [{}, {}];
    pages.set(first, '0', Buffer.alloc(400, 1), 4);
    pages.set(second, '0', Buffer.alloc(400, 2), 5);
    expect(pages.get(first, '0')).toEqual({ bytes: Buffer.alloc(400, 1), end: 4 });
    pages.set(second, '5', Buffer.alloc(400, 3), 9);
    expect(pages.get(first, '0')?.end).toBe(4);
    expect([pages.get(second, '0'), pages.bytes]).toEqual([undefined, 400]);
    pages.set(first, '4', Buffer.alloc(1001), 9);
    expect([pages.get(first, '4'), pages.bytes]).toEqual([undefined, 400]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DceRpcError } from './errors.ts';
import type { PipeServer, PipeShare } from './interface.ts';
import { encodePdu, NDR, PduFlags, PduType, wireUuid } from './pdu.ts';
import { openPipe, type PipeEndpoint } from './pipe.ts';

const WHOLE = PduFlags.FIRST | PduFlags.LAST;
const SRVSVC = `${wireUuid('4b324fc8-1670-01d3-1278-5a47bf6ee188')}03000000`;
const NDR_SYNTAX = `${NDR.uuid}02000000`;
const NDR64_SYNTAX = `${wireUuid('71710533-beba-4937-8319-b5dbef9ccc36')}01000000`;
const FEATURES = '2c1cb76c129840450300000000000000' + '01000000';
const SHARE_ENUM = 15;
const MAX = 65_536;

const share = (name: string): PipeShare => ({ name, comment: '', kind: 'disk' });
const serverWith = (shares: readonly PipeShare[]): PipeServer => ({
  serverName: 'SERVER',
  domain: 'WORKGROUP',
  comment: '',
  shares: () => shares,
});

interface Context {
  readonly abstract?: string;
  readonly transfer?: readonly string[];
}

function bindPdu(contexts: readonly Context[], options: { type?: number; maxReceive?: number } = {}): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16LE(5840, 0);
  head.writeUInt16LE(options.maxReceive ?? 5840, 2);
  head.writeUInt8(contexts.length, 8);
  const body = contexts.map(({ abstract = SRVSVC, transfer = [NDR_SYNTAX] }, id) =>
    Buffer.from([id, 0, transfer.length, 0, ...Buffer.from(abstract + transfer.join(''), 'hex')]),
  );
  return encodePdu(options.type ?? PduType.BIND, WHOLE, 1, Buffer.concat([head, ...body]));
}

function requestPdu(
  stub: Buffer,
  options: { flags?: number; callId?: number; context?: number; op?: number } = {},
): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16LE(options.context ?? 0, 4);
  head.writeUInt16LE(options.op ?? SHARE_ENUM, 6);
  return encodePdu(PduType.REQUEST, options.flags ?? WHOLE, options.callId ?? 2, Buffer.concat([head, stub]));
}

/** The arguments of NetrShareEnum: no server name, an empty container at `level`, the preferred length, the resume handle. */
function shareEnum(level = 0, preferred = 0xffffffff, resume?: number): Buffer {
  const words = [0, level, level, 1, 0, 0, preferred, ...(resume === undefined ? [0] : [1, resume])];
  const stub = Buffer.alloc(words.length * 4);
  words.forEach((word, index) => stub.writeUInt32LE(word, index * 4));
  return stub;
}

function bound(shares: readonly PipeShare[] = [share('one'), share('two')], maxReceive = 5840): PipeEndpoint {
  const pipe = openPipe('srvsvc', serverWith(shares))!;
  pipe.transceive(bindPdu([{}], { maxReceive }), MAX);
  return pipe;
}

const typeOf = (pdu: Buffer): number => pdu.readUInt8(2);
const faultOf = (pdu: Buffer): number | undefined =>
  typeOf(pdu) === PduType.FAULT ? pdu.readUInt32LE(24) : undefined;
const word = (pdu: Buffer, fromEnd: number): number => pdu.readUInt32LE(pdu.length - fromEnd);

function drain(pipe: PipeEndpoint): Buffer[] {
  const messages: Buffer[] = [];
  for (let next = pipe.read(MAX); next !== undefined; next = pipe.read(MAX)) messages.push(next.data);
  return messages;
}

describe('openPipe', () => {
  it('knows its pipes in any spelling and no others', () => {
    for (const name of ['srvsvc', '\\SRVSVC', 'WksSvc']) expect(openPipe(name, serverWith([]))).toBeDefined();
    for (const name of ['lsarpc', 'samr', '', 'srvsvc2'])
      expect(openPipe(name, serverWith([]))).toBeUndefined();
  });
});

describe('bind', () => {
  const results = (contexts: readonly Context[]): [number, number][] => {
    const { data } = openPipe('srvsvc', serverWith([]))!.transceive(bindPdu(contexts), MAX);
    expect(typeOf(data)).toBe(PduType.BIND_ACK);
    const at = data.length - contexts.length * 24;
    return contexts.map((_, index) => [
      data.readUInt16LE(at + index * 24),
      data.readUInt16LE(at + index * 24 + 2),
    ]);
  };

  it('accepts NDR only, of its own interface only, and no bind-time features', () => {
    expect(
      results([
        { transfer: [NDR64_SYNTAX, NDR_SYNTAX] },
        { transfer: [NDR64_SYNTAX] },
        { transfer: [FEATURES] },
        { abstract: NDR64_SYNTAX },
        { abstract: SRVSVC.replace(/03000000$/, '04000000') },
      ]),
    ).toEqual([
      [0, 0],
      [2, 2],
      [3, 0],
      [2, 1],
      [2, 1],
    ]);
  });

  it('adds contexts with ALTER_CONTEXT, after a bind only', () => {
    const pipe = openPipe('srvsvc', serverWith([]))!;
    const alter = bindPdu([{}], { type: PduType.ALTER_CONTEXT });
    expect(typeOf(pipe.transceive(alter, MAX).data)).toBe(PduType.BIND_NAK);
    pipe.transceive(bindPdu([{ abstract: NDR64_SYNTAX }]), MAX);
    expect(faultOf(pipe.transceive(requestPdu(shareEnum()), MAX).data)).toBe(0x1c010003);
    const answer = pipe.transceive(alter, MAX).data;
    expect(typeOf(answer)).toBe(PduType.ALTER_CONTEXT_RESP);
    expect(answer.length).toBe(16 + 12 + 4 + 24);
    expect(typeOf(pipe.transceive(requestPdu(shareEnum()), MAX).data)).toBe(PduType.RESPONSE);
    expect(typeOf(pipe.transceive(bindPdu([{}]), MAX).data)).toBe(PduType.BIND_NAK);
  });

  it('refuses authentication with a bind_nak', () => {
    const pdu = bindPdu([{}]);
    pdu.writeUInt16LE(16, 10);
    const { data } = openPipe('srvsvc', serverWith([]))!.transceive(pdu, MAX);
    expect([typeOf(data), data.readUInt16LE(16)]).toEqual([PduType.BIND_NAK, 8]);
  });
});

describe('requests', () => {
  it('faults on unknown operations, missing binds and broken stubs, and goes on', () => {
    const pipe = bound();
    const fault = (pdu: Buffer): number | undefined => faultOf(pipe.transceive(pdu, MAX).data);
    expect(fault(requestPdu(shareEnum(), { op: 999 }))).toBe(0x1c010002);
    expect(fault(requestPdu(shareEnum(), { context: 5 }))).toBe(0x1c010003);
    expect(fault(requestPdu(shareEnum().subarray(0, 10)))).toBe(0x6f7);
    expect(fault(requestPdu(Buffer.from('01000000ffffffff00000000ffffffff', 'hex')))).toBe(0x6f7);
    expect(fault(encodePdu(99, WHOLE, 3, Buffer.alloc(0)))).toBe(0x1c01000b);
    expect(fault(requestPdu(shareEnum()))).toBeUndefined();
    expect(faultOf(openPipe('srvsvc', serverWith([]))!.transceive(requestPdu(shareEnum()), MAX).data)).toBe(
      0x1c010003,
    );
  });

  it('answers unknown levels and shares with Win32 errors', () => {
    const pipe = bound();
    expect(word(pipe.transceive(requestPdu(shareEnum(77)), MAX).data, 4)).toBe(124);
    const stub = Buffer.alloc(4 + 12 + 8 + 4);
    [0, 4, 0, 4].forEach((value, index) => stub.writeUInt32LE(value, index * 4));
    stub.write('abc', 16, 'utf16le');
    stub.writeUInt32LE(1, 24);
    expect(word(pipe.transceive(requestPdu(stub, { op: 16 }), MAX).data, 4)).toBe(2310);
    stub.write('TWO', 16, 'utf16le');
    expect(word(pipe.transceive(requestPdu(stub, { op: 16 }), MAX).data, 4)).toBe(0);
  });

  it('pages through shares by preferred length and resume handle', () => {
    const pipe = bound(['a', 'b', 'c'].map(share));
    const page = (preferred: number, resume: number): number[] => {
      const { data } = pipe.transceive(requestPdu(shareEnum(0, preferred, resume)), MAX);
      return [data.readUInt32LE(24 + 12), word(data, 16), word(data, 8), word(data, 4)];
    };
    expect(page(100, 0)).toEqual([2, 3, 2, 234]);
    expect(page(100, 2)).toEqual([1, 1, 0, 0]);
    expect(page(10, 0)).toEqual([0, 3, 0, 2123]);
    expect(page(0xffffffff, 99)).toEqual([0, 0, 0, 0]);
  });

  it('joins the fragments of a request, however the bytes are cut', () => {
    const stub = shareEnum(1);
    const expected = bound().transceive(requestPdu(stub), MAX).data;
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: stub.length - 1 }), { maxLength: 4 }),
        fc.array(fc.nat(200), { maxLength: 6 }),
        (cuts, writes) => {
          const edges = [0, ...cuts.sort((a, b) => a - b), stub.length];
          const bytes = Buffer.concat(
            edges.slice(1).map((end, index) => {
              const flags = (index === 0 ? PduFlags.FIRST : 0) | (end === stub.length ? PduFlags.LAST : 0);
              return requestPdu(stub.subarray(edges[index], end), { flags });
            }),
          );
          const pipe = bound();
          let at = 0;
          for (const length of writes) {
            pipe.write(bytes.subarray(at, at + length));
            at += length;
          }
          pipe.write(bytes.subarray(at));
          expect(drain(pipe)).toEqual([expected]);
        },
      ),
    );
  });

  it('cuts a long response into fragments of the size the client takes', () => {
    const names = Array.from({ length: 300 }, (_, index) => share(`share-${index}`));
    const fragments = ((): Buffer[] => {
      const pipe = bound(names, 2000);
      pipe.write(requestPdu(shareEnum(1)));
      return drain(pipe);
    })();
    expect(fragments.length).toBeGreaterThan(5);
    for (const fragment of fragments) {
      expect(fragment.length).toBeLessThanOrEqual(2000);
      expect(fragment.readUInt16LE(8)).toBe(fragment.length);
    }
    const flags = fragments.map((fragment) => fragment.readUInt8(3));
    expect(flags).toEqual([PduFlags.FIRST, ...flags.slice(1, -1).map(() => 0), PduFlags.LAST]);
    const stub = Buffer.concat(fragments.map((fragment) => fragment.subarray(24)));
    expect(fragments[0]?.readUInt32LE(16)).toBe(stub.length);
    expect(stub.includes(Buffer.from('share-299', 'utf16le'))).toBe(true);
  });

  it('hands a message out in parts and says when there is more', () => {
    const pipe = bound();
    const whole = bound().transceive(requestPdu(shareEnum()), MAX).data;
    const first = pipe.transceive(requestPdu(shareEnum()), 24);
    const second = pipe.read(MAX);
    expect(first.more).toBe(true);
    expect(second?.more).toBe(false);
    expect(Buffer.concat([first.data, second!.data])).toEqual(whole);
    expect(pipe.read(MAX)).toBeUndefined();
    expect(pipe.transceive(requestPdu(shareEnum()).subarray(0, 20), MAX)).toEqual({
      data: Buffer.alloc(0),
      more: false,
    });
  });
});

describe('bad input', () => {
  it.each([
    ['another version', Buffer.from('0400000310000000100000000100000000', 'hex')],
    ['big-endian integers', Buffer.from('05000b0300000000001000000000000100', 'hex')],
    ['a fragment shorter than its header', Buffer.from('05000b03100000000f0000000100000000', 'hex')],
    ['a fragment beyond the limit', Buffer.from('05000003100000007017000001000000', 'hex')],
    ['a bind that promises more contexts than it has', bindPdu([{}]).fill(9, 24, 25)],
    ['a request without its header', encodePdu(PduType.REQUEST, WHOLE, 1, Buffer.alloc(7))],
    [
      'an object UUID that is not there',
      requestPdu(Buffer.alloc(8), { flags: WHOLE | PduFlags.OBJECT_UUID }),
    ],
  ])('ends the association for %s', (_why, bytes) => {
    const pipe = openPipe('srvsvc', serverWith([]))!;
    expect(() => pipe.write(bytes)).toThrow(DceRpcError);
    expect(() => pipe.write(bindPdu([{}]))).toThrow(DceRpcError);
  });

  it('faults when fragments of two calls mix or the first is missing', () => {
    const pipe = bound();
    pipe.write(requestPdu(Buffer.alloc(4), { flags: PduFlags.FIRST, callId: 2 }));
    pipe.write(requestPdu(Buffer.alloc(4), { flags: PduFlags.LAST, callId: 3 }));
    pipe.write(requestPdu(Buffer.alloc(4), { flags: PduFlags.LAST, callId: 2 }));
    expect(drain(pipe).map(faultOf)).toEqual([0x1c01000b, 0x1c01000b]);
  });

  it.each([
    ['long', 4000, 100],
    ['many', 1, 600],
  ])('keeps nothing of a request of too %s fragments', (_why, size, count) => {
    const pipe = bound();
    const fragment = requestPdu(Buffer.alloc(size), { flags: 0 });
    pipe.write(requestPdu(Buffer.alloc(size), { flags: PduFlags.FIRST }));
    for (let index = 0; index < count; index++) pipe.write(fragment);
    pipe.write(requestPdu(Buffer.alloc(size), { flags: PduFlags.LAST }));
    expect(drain(pipe).map(faultOf)).toEqual([0x1c00001b]);
  });

  it('ends the association of a client that never reads', () => {
    const pipe = bound(Array.from({ length: 1000 }, (_, index) => share(`share-${index}`)));
    expect(() => {
      for (let index = 0; index < 1000; index++) pipe.write(requestPdu(shareEnum(1)));
    }).toThrow(DceRpcError);
  });

  it('survives any bytes after a bind', () => {
    const good = requestPdu(shareEnum(1));
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(255) }), { maxLength: 5 }),
        fc.uint8Array({ maxLength: 100 }),
        (changes, tail) => {
          const bytes = Buffer.concat([good, tail]);
          for (const { at, byte } of changes) bytes[at] = byte;
          const pipe = bound();
          try {
            pipe.write(bytes);
            drain(pipe);
          } catch (error) {
            expect(error).toBeInstanceOf(DceRpcError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

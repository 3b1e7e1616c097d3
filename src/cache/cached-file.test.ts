import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TreeError } from '../source/errors.ts';
import { BlockCache } from './block-cache.ts';
import type { CachedFile } from './cached-file.ts';
import { ContentCache } from './content-cache.ts';
import { CacheLimits, carefulReadAhead, type ReadAheadSettings } from './limits.ts';
import type { ByteSource, TryOptions, TryOutcome } from './source.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const SECTOR = 512;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The value of every byte of a sector, which depends on the version of the file. */
const byteOf = (version: number, sector: number): number =>
  (Math.imul(sector + 1, 2654435761) >>> 24) ^ version;

function write(target: Buffer, position: number, version: number): void {
  for (let at = 0; at < target.length;) {
    const sector = Math.floor((position + at) / SECTOR);
    const end = Math.min(target.length, (sector + 1) * SECTOR - position);
    target.fill(byteOf(version, sector), at, end);
    at = end;
  }
}

/** Whether every sector has the bytes of one of the versions from..to. */
function isOf(bytes: Buffer, position: number, from: number, to: number): boolean {
  for (let at = 0; at < bytes.length;) {
    const sector = Math.floor((position + at) / SECTOR);
    const end = Math.min(bytes.length, (sector + 1) * SECTOR - position);
    const first = bytes[at]!;
    let isFound = false;
    for (let version = from; version <= to && !isFound; version++)
      isFound = first === byteOf(version, sector);
    if (!isFound || bytes.subarray(at, end).some((byte) => byte !== first)) return false;
    at = end;
  }
  return true;
}

type Ending = 'good' | 'down' | 'io' | 'timeout' | 'again' | 'refused';

interface Call {
  readonly position: number;
  readonly length: number;
  readonly isTry: boolean;
  readonly options: TryOptions | undefined;
  end(how: Ending): void;
}

/** A model of a file: the test changes it, and decides when and how each read ends. */
class Model implements ByteSource {
  version = 0;
  size: number;
  fetchesAhead = false;
  /** Whether reads succeed at once. */
  isQuick = false;
  readonly calls: Call[] = [];
  /** All reads so far, in order. */
  readonly asked: { readonly position: number; readonly length: number; readonly isAhead: boolean }[] = [];
  /** Each call ends one hung read, which then overwrites its buffer. */
  readonly late: (() => void)[] = [];

  constructor(size: number) {
    this.size = size;
  }

  read(target: Buffer, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#begin(target, position, undefined, (how) => {
        if (how === 'good') resolve(this.#fill(target, position));
        else reject(new TreeError(how === 'refused' ? 'io' : how));
      });
    });
  }

  tryRead(target: Buffer, position: number, options: TryOptions): Promise<TryOutcome> {
    return new Promise((resolve) => {
      this.#begin(target, position, options, (how) => {
        if (how === 'good') resolve(this.#fill(target, position) === target.length ? 'whole' : 'refused');
        else resolve(how === 'timeout' || how === 'again' ? 'lost' : 'refused');
      });
    });
  }

  #begin(
    target: Buffer,
    position: number,
    options: TryOptions | undefined,
    settle: (how: Ending) => void,
  ): void {
    this.asked.push({ position, length: target.length, isAhead: options?.isAhead ?? false });
    const end = (how: Ending) => {
      this.calls.splice(this.calls.indexOf(call), 1);
      // These bytes are not the file's.
      if (how === 'timeout' || how === 'again') this.late.push(() => target.fill(0xa5));
      settle(how);
    };
    const call = { position, length: target.length, isTry: options !== undefined, options, end };
    this.calls.push(call);
    if (this.isQuick) end('good');
  }

  #fill(target: Buffer, position: number): number {
    const length = Math.max(0, Math.min(target.length, this.size - position));
    write(target.subarray(0, length), position, this.version);
    return length;
  }
}

interface Setup {
  readonly cache: ContentCache;
  readonly blocks: BlockCache;
  readonly file: CachedFile;
  readonly model: Model;
}

function setUp(size: number, budget = 64 * MiB, readAhead?: ReadAheadSettings): Setup {
  const model = new Model(size);
  const blocks = new BlockCache(budget);
  const cache = new ContentCache({ blocks, source: { file: () => model }, readAhead });
  const file = cache.file('/film.mkv');
  file.size = size;
  return { cache, blocks, file, model };
}

async function readAll(file: CachedFile, offset: number, length: number): Promise<Buffer> {
  const target = Buffer.alloc(length);
  const got = await file.read(target, offset);
  return target.subarray(0, got);
}

const off: ReadAheadSettings = { max: 0, start: 0 };

describe('the model', () => {
  const steps = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('read'),
        file: fc.nat(1),
        at: fc.nat(1600),
        length: fc.integer({ min: 1, max: 700 }),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('end'),
        which: fc.nat(50),
        how: fc.constantFrom<Ending>(
          'good',
          'good',
          'good',
          'good',
          'down',
          'io',
          'timeout',
          'again',
          'refused',
        ),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('change'),
        file: fc.nat(1),
        size: fc.integer({ min: 1, max: 1700 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('see'), file: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('late') }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('stream'), file: fc.nat(1) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('resize'), chunks: fc.nat(8) }) },
  );
  type Step = {
    do: string;
    file?: number;
    at?: number;
    length?: number;
    which?: number;
    how?: Ending;
    size?: number;
    chunks?: number;
  };

  it('never gives a wrong byte, and never holds more than its budget', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 10, maxLength: 80 }), async (list: Step[]) => {
        const blocks = new BlockCache(4 * CacheLimits.block);
        const models = [new Model(1500 * KiB + 77), new Model(300 * KiB)];
        const cache = new ContentCache({
          blocks,
          source: { file: (path) => models[Number(path)]! },
          readAhead: { max: 512 * KiB, start: 128 * KiB },
        });
        const files = models.map(({ size }, index) => {
          const file = cache.file(String(index));
          file.size = size;
          return { file, seen: 0, front: 0 };
        });
        const readings: Promise<void>[] = [];
        const read = (index: number, offset: number, wish: number) => {
          const one = files[index]!;
          const length = Math.min(wish, one.file.size - offset);
          if (length <= 0) return;
          const target = Buffer.alloc(length);
          const from = one.seen;
          const got = one.file.read(target, offset);
          const check = (bytes: number) => {
            expect(bytes).toBeLessThanOrEqual(length);
            expect(isOf(target.subarray(0, bytes), offset, from, models[index]!.version)).toBe(true);
          };
          if (typeof got === 'number') check(got);
          else readings.push(got.then(check, (error: unknown) => expect(error).toBeInstanceOf(TreeError)));
        };
        const pending = () => models.flatMap(({ calls }) => calls);
        for (const step of list) {
          const one = files[step.file ?? 0]!;
          const model = models[step.file ?? 0]!;
          if (step.do === 'read') read(step.file!, step.at! * KiB + 3, step.length! * KiB);
          else if (step.do === 'stream') {
            read(step.file!, one.front, 64 * KiB);
            one.front = Math.min(one.front + 64 * KiB, one.file.size);
          } else if (step.do === 'end') {
            const calls = pending();
            if (calls.length > 0) calls[step.which! % calls.length]!.end(step.how!);
          } else if (step.do === 'change') {
            model.version += 1;
            model.size = step.size! * KiB;
          } else if (step.do === 'see') {
            if (one.seen !== model.version) one.file.drop();
            one.seen = model.version;
            one.file.size = model.size;
          } else if (step.do === 'late')
            for (const { late } of models) for (const end of late.splice(0)) end();
          else blocks.resize(step.chunks! * CacheLimits.block);
          await turn();
          const busy = blocks.loadingBytes + blocks.lostBytes;
          expect(blocks.bytes).toBeLessThanOrEqual(Math.max(blocks.limit, busy));
        }
        while (pending().length > 0) {
          pending()[0]!.end('good');
          await turn();
        }
        await Promise.all(readings);
        expect(blocks.loadingBytes).toBe(0);
        blocks.resize(0);
        cache.close();
        expect(files.every(({ file }) => file.isEmpty)).toBe(true);
      }),
      { numRuns: 300 },
    );
  }, 120_000);
});

describe('reads', () => {
  it('of what is in memory are answered at once, without a promise', async () => {
    const { file, model, cache } = setUp(MiB, 64 * MiB, off);
    model.isQuick = true;
    await readAll(file, 0, MiB);
    model.asked.length = 0;
    const target = Buffer.alloc(300 * KiB);
    expect(file.read(target, 100 * KiB + 1)).toBe(300 * KiB);
    expect(isOf(target, 100 * KiB + 1, 0, 0)).toBe(true);
    expect(model.asked).toEqual([]);
    expect(cache.counts).toMatchObject({ served: MiB + 300 * KiB, hits: 300 * KiB });
  });

  it('of random places cost no more than a piece at either end', async () => {
    const { file, model } = setUp(256 * MiB);
    model.isQuick = true;
    for (let i = 1; i < 100; i++) await readAll(file, i * 2_000_003, 4 * KiB);
    for (const { length } of model.asked) expect(length).toBeLessThanOrEqual(2 * CacheLimits.piece);
  });

  it('of a new place are one read where the daemon fetches ahead, as two may come in the wrong order', async () => {
    const { file, model } = setUp(16 * MiB - 77);
    model.isQuick = model.fetchesAhead = true;
    const offset = 16 * MiB - 77 - 256 * KiB;
    expect(isOf(await readAll(file, offset, 256 * KiB), offset, 0, 0)).toBe(true);
    expect(model.asked).toEqual([{ position: offset, length: 256 * KiB, isAhead: false }]);
  });

  it('of many readers are one read of the source', async () => {
    const { file, model } = setUp(MiB);
    const all = Array.from({ length: 10 }, () => readAll(file, 0, 256 * KiB));
    expect(model.calls).toHaveLength(1);
    model.calls[0]!.end('good');
    for (const bytes of await Promise.all(all)) expect(isOf(bytes, 0, 0, 0)).toBe(true);
  });

  it('continue while one of their clients still waits', async () => {
    const { file, model } = setUp(4 * MiB, 64 * MiB, off);
    let isWanted = true;
    const first = Promise.resolve(file.read(Buffer.alloc(4 * KiB), MiB + 5, () => isWanted));
    const second = readAll(file, MiB + 5, 4 * KiB);
    isWanted = false;
    expect(model.calls[0]!.options!.wanted()).toBe(true);
    model.calls[0]!.end('good');
    expect(await first).toBe(4 * KiB);
    expect(isOf(await second, MiB + 5, 0, 0)).toBe(true);
    void file.read(Buffer.alloc(4 * KiB), 2 * MiB + 5, () => isWanted);
    expect(model.calls[0]!.options!.wanted()).toBe(false);
  });

  it('of more than a client asked for do not fail the client: it gets its own bytes', async () => {
    const { file, model } = setUp(4 * MiB, 64 * MiB, off);
    const reading = readAll(file, MiB + 5, 4 * KiB);
    model.calls[0]!.end('refused');
    await turn();
    expect(model.asked[1]).toMatchObject({ position: MiB + 5, length: 4 * KiB });
    model.calls[0]!.end('good');
    expect(isOf(await reading, MiB + 5, 0, 0)).toBe(true);
  });

  it('that fail are not cached, and return the error of the source', async () => {
    const { file, model, blocks } = setUp(4 * MiB, 64 * MiB, off);
    const reading = readAll(file, MiB, 256 * KiB);
    model.calls[0]!.end('io');
    await expect(reading).rejects.toMatchObject({ code: 'io' });
    expect(file.isEmpty).toBe(true);
    // The hung read used a chunk of the cache, not the client's buffer: the client can be served after the outage.
    const away = readAll(file, MiB, 256 * KiB);
    model.calls[0]!.end('again');
    await expect(away).rejects.toMatchObject({ code: 'down' });
    expect(blocks.bytes).toBeLessThanOrEqual(2 * CacheLimits.block);
  });

  it('end at the real end of the file, even if the known size is larger', async () => {
    const { file, model } = setUp(MiB, 64 * MiB, off);
    model.size = 100 * KiB;
    model.isQuick = true;
    expect(await readAll(file, 0, 256 * KiB)).toHaveLength(100 * KiB);
    expect(file.isEmpty).toBe(true);
  });

  it('get no memory to which a hung read may still write, and are served past the cache', async () => {
    const { file, model, blocks } = setUp(16 * MiB, CacheLimits.block, off);
    const hung = readAll(file, 0, 256 * KiB);
    const other = readAll(file, MiB, 256 * KiB);
    expect(blocks.bytes).toBe(CacheLimits.block);
    model.calls[0]!.end('timeout');
    await expect(hung).rejects.toMatchObject({ code: 'timeout' });
    model.calls[0]!.end('good');
    expect(isOf(await other, MiB, 0, 0)).toBe(true);
    // The memory is not reused while the hung read may still write to it.
    const third = readAll(file, 2 * MiB, 256 * KiB);
    model.late[0]!();
    model.calls[0]!.end('good');
    expect(isOf(await third, 2 * MiB, 0, 0)).toBe(true);
    expect(file.isEmpty).toBe(true);
  });

  it('of an old version answer earlier requests, but no later ones', async () => {
    const { file, model } = setUp(MiB, 64 * MiB, off);
    const before = readAll(file, 0, 256 * KiB);
    model.version = 1;
    file.drop();
    const after = readAll(file, 0, 256 * KiB);
    expect(model.calls).toHaveLength(2);
    for (const call of [...model.calls]) call.end('good');
    expect(isOf(await before, 0, 0, 1)).toBe(true);
    expect(isOf(await after, 0, 1, 1)).toBe(true);
  });
});

describe('eviction', () => {
  it('takes blocks that a stream has passed first, and beginnings and ends of files last', async () => {
    const { cache, file, model } = setUp(64 * MiB, 16 * MiB, off);
    model.isQuick = true;
    const other = cache.file('/other.mkv');
    other.size = 64 * MiB;
    await readAll(other, 0, 512 * KiB);
    await readAll(other, 64 * MiB - 512 * KiB, 512 * KiB);
    await readAll(other, 32 * MiB, MiB);
    for (let at = 0; at < 48 * MiB; at += MiB) await readAll(file, at, MiB);
    model.asked.length = 0;
    await readAll(other, 0, 512 * KiB);
    await readAll(other, 64 * MiB - 512 * KiB, 512 * KiB);
    await readAll(other, 32 * MiB, MiB);
    // The last megabytes of the stream stay in memory for a reader that follows it.
    await readAll(file, 46 * MiB, MiB);
    expect(model.asked).toEqual([]);
  });

  it('leaves beginnings and ends no more than their share', async () => {
    const { cache, blocks, model } = setUp(MiB, 8 * MiB, off);
    model.isQuick = true;
    model.size = MiB;
    const many = Array.from({ length: 64 }, (_, index) => cache.file(`/${index}.mkv`));
    for (const file of many) {
      file.size = MiB;
      await readAll(file, 0, MiB);
    }
    const film = cache.file('/film.mkv');
    film.size = model.size = 64 * MiB;
    await readAll(film, 32 * MiB, 3 * MiB);
    for (const file of many.slice(0, 8)) await readAll(file, 0, MiB);
    model.asked.length = 0;
    await readAll(film, 32 * MiB, 3 * MiB);
    expect(model.asked).toEqual([]);
    expect(blocks.bytes).toBeLessThanOrEqual(8 * MiB);
  });

  it('keeps what a scan has read, so that a second scan reads nothing from the source', async () => {
    const { cache, model } = setUp(MiB, 64 * MiB);
    model.isQuick = true;
    model.size = 64 * MiB;
    const films = Array.from({ length: 100 }, (_, index) => cache.file(`/${index}.mkv`));
    const scan = async () => {
      for (const film of films) {
        film.size = 64 * MiB;
        await readAll(film, 0, 64 * KiB);
        await readAll(film, 64 * MiB - 100_000, 100_000);
      }
    };
    await scan();
    model.asked.length = 0;
    await scan();
    expect(model.asked).toEqual([]);
  });
});

describe('reading ahead', () => {
  const settle = async (model: Model) => {
    while (model.calls.length > 0) {
      model.calls[0]!.end('good');
      await turn();
    }
  };
  const ahead = (model: Model) => model.asked.filter(({ isAhead }) => isAhead);

  it('begins after some bytes in order, grows, and asks in order of offset', async () => {
    const { file, model } = setUp(256 * MiB, 512 * MiB);
    const reach: number[] = [];
    for (let at = 0; at < 32 * MiB; at += MiB) {
      const reading = readAll(file, at, MiB);
      await settle(model);
      expect(isOf(await reading, at, 0, 0)).toBe(true);
      const last = ahead(model).at(-1);
      reach.push(last ? (last.position + last.length - at - MiB) / MiB : 0);
    }
    expect(reach[0]).toBe(0);
    expect(reach[3]).toBeGreaterThan(0);
    expect(reach[3]).toBeLessThanOrEqual(4);
    expect(Math.max(...reach)).toBe(16);
    const positions = ahead(model).map(({ position }) => position);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    // Nothing was asked for twice.
    expect(new Set(model.asked.map(({ position }) => position)).size).toBe(model.asked.length);
  });

  it('does not begin for random reads, nor for a scan', async () => {
    const { file, model } = setUp(256 * MiB);
    model.isQuick = true;
    let seed = 1;
    for (let i = 0; i < 2000; i++) {
      seed = (seed * 48271) % 2147483647;
      await readAll(file, (seed % 60_000) * 4 * KiB, 4 * KiB);
    }
    const scanned = setUp(64 * MiB);
    scanned.model.isQuick = true;
    await readAll(scanned.file, 0, MiB);
    await readAll(scanned.file, 64 * MiB - 256 * KiB, 256 * KiB);
    await readAll(scanned.file, MiB, MiB);
    expect([...ahead(model), ...ahead(scanned.model)]).toEqual([]);
    expect(scanned.model.asked.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(2.25 * MiB);
  });

  it('continues when a kernel client sends reads out of order', async () => {
    const { file, model } = setUp(256 * MiB);
    model.isQuick = true;
    for (let at = 0; at < 64 * MiB; at += 4 * MiB)
      for (const part of [2, 0, 3, 1]) await readAll(file, at + part * MiB, MiB);
    expect(ahead(model).length).toBeGreaterThan(200);
  });

  it('stops with the stream, and when the last client closes the file', async () => {
    const { file, model } = setUp(256 * MiB);
    for (let at = 0; at < 8 * MiB; at += MiB) {
      const reading = readAll(file, at, MiB);
      await settle(model);
      await reading;
    }
    const before = model.asked.length;
    await settle(model);
    expect(model.asked.length).toBe(before);
    const reading = readAll(file, 8 * MiB, MiB);
    file.stopReadingAhead();
    const running = [...model.calls];
    for (const { options } of running) expect(options?.wanted()).toBe(false);
    await settle(model);
    await reading;
    expect(model.asked.length).toBe(before + running.length);
  });

  it('stays within the window of a daemon that fetches ahead itself', async () => {
    const { file, model } = setUp(256 * MiB);
    model.fetchesAhead = true;
    let answered = 0;
    for (let at = 0; at < 64 * MiB; at += MiB) {
      const reading = readAll(file, at, MiB).then(() => (answered = at + MiB));
      await turn();
      while (model.calls.length > 0) {
        for (const { position, length } of model.calls)
          if (position >= at + MiB)
            expect(position + length).toBeLessThanOrEqual(answered + carefulReadAhead.max);
        model.calls[0]!.end('good');
        await turn();
      }
      await reading;
      if (at + MiB < carefulReadAhead.start) expect(ahead(model)).toEqual([]);
    }
    expect(ahead(model).length).toBeGreaterThan(150);
  });

  it('works for two readers of one file', async () => {
    const { file, model } = setUp(256 * MiB);
    model.isQuick = true;
    for (let at = 0; at < 16 * MiB; at += MiB) {
      await readAll(file, at, MiB);
      await readAll(file, 128 * MiB + at, MiB);
    }
    const clients = model.asked.filter(({ isAhead }) => !isAhead);
    expect(clients.filter(({ position }) => position < 128 * MiB).length).toBeLessThan(16);
    expect(clients.filter(({ position }) => position >= 128 * MiB).length).toBeLessThan(16);
  });

  it('fails silently and restarts with a small window; only the reader gets the error', async () => {
    const { file, model } = setUp(256 * MiB);
    for (let at = 0; at < 6 * MiB; at += MiB) {
      const reading = readAll(file, at, MiB);
      while (model.calls.length > 0) {
        const call = model.calls[0]!;
        call.end(call.isTry ? 'refused' : 'good');
        await turn();
      }
      expect(isOf(await reading, at, 0, 0)).toBe(true);
    }
    // At most one window of the first size each time.
    expect(ahead(model).length).toBeLessThanOrEqual(6 * 4);
    const late = readAll(file, 6 * MiB, MiB);
    for (const call of [...model.calls]) call.end(call.isTry ? 'refused' : 'io');
    await expect(late).rejects.toMatchObject({ code: 'io' });
  });

  it('never exceeds its limit of parallel loads, with any number of readers', async () => {
    const { cache, model } = setUp(256 * MiB, 512 * MiB);
    const files = Array.from({ length: 20 }, (_, index) => cache.file(`/${index}.mkv`));
    let most = 0;
    for (let at = 0; at < 8 * MiB; at += MiB) {
      const readings = files.map((file) => {
        file.size = 256 * MiB;
        return readAll(file, at, MiB);
      });
      while (model.calls.length > 0) {
        most = Math.max(most, model.calls.filter(({ options }) => options?.isAhead).length);
        model.calls[0]!.end('good');
        await turn();
      }
      await Promise.all(readings);
    }
    expect(most).toBeGreaterThan(10);
    expect(most).toBeLessThanOrEqual(CacheLimits.loadsAhead);
    expect(cache.ahead.running).toBe(0);
  });
});

import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLanes, type Lane } from './lanes.ts';
import { SourceLimits } from './limits.ts';
import { Source } from './source.ts';

const length = 4096;
let folder: string;
let lane: Lane;
let source: Source;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-file-'));
  const lanes = createLanes({});
  lane = lanes.data;
  source = new Source({ path: folder, expectFuse: false, lanes });
  put('old');
  await source.start();
});

afterEach(() => {
  source.close();
  rmSync(folder, { recursive: true });
});

/** As somebody who replaces a file does it. */
function put(word: string): void {
  writeFileSync(join(folder, 'new'), word.padEnd(length, '.'));
  renameSync(join(folder, 'new'), join(folder, 'film.mkv'));
}

function latch(): { opened: Promise<void>; open: () => void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Holds the answer of the next call to the kernel back; `release` lets it through. */
function holdNext(): { answered: Promise<void>; release: () => void } {
  const run = lane.run.bind(lane);
  const gate = latch();
  const answer = latch();
  lane.run = (key, begin, options) => {
    lane.run = run;
    return run(
      key,
      (done) => {
        begin((error, value) => {
          answer.open();
          void gate.opened.then(() => {
            done(error, value);
          });
        });
      },
      options,
    );
  };
  return { answered: answer.opened, release: gate.open };
}

async function read(): Promise<string> {
  const target = Buffer.alloc(length);
  await source.file('/film.mkv').read(target, 0);
  return target.toString('latin1', 0, 3);
}

/** A read during whose next call the file is replaced, and one that begins then. */
async function replacedMeanwhile(): Promise<string[]> {
  const { answered, release } = holdNext();
  const before = read();
  await answered;
  put('new');
  source.forget('/film.mkv');
  const after = read();
  release();
  return await Promise.all([before, after]);
}

it('a read that was under way when the content changed answers nobody who asks later', async () => {
  await read();
  expect(await replacedMeanwhile()).toEqual(['old', 'new']);
});

it('a read that took long is not kept when the content has changed meanwhile', async () => {
  await read();
  const { answered, release } = holdNext();
  const before = read();
  await answered;
  await new Promise((resolve) => setTimeout(resolve, SourceLimits.lateRead + 50));
  put('new');
  source.forget('/film.mkv');
  release();
  expect(await before).toBe('old');
  expect(await read()).toBe('new');
});

it('a file that was being opened when it was replaced is opened again', async () => {
  expect(await replacedMeanwhile()).toEqual(['new', 'new']);
});

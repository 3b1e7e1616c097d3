import { appendFileSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FolderWatches } from './folder-watches.ts';
import { footholdFlags } from './footholds.ts';

let folder: string;
let watches: FolderWatches;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-watches-'));
  watches = new FolderWatches();
});
afterEach(() => {
  watches.clear();
  rmSync(folder, { recursive: true });
});

/** Watches as a source does: by a descriptor that is closed at once. */
function begin(onChange: () => void, onEnd: () => void = () => undefined) {
  const descriptor = openSync(folder, footholdFlags);
  try {
    return watches.begin(`/proc/self/fd/${descriptor}`, onChange, onEnd)!;
  } finally {
    closeSync(descriptor);
  }
}

it('reports created and deleted entries, but no writes to files', async () => {
  const path = join(folder, 'a');
  writeFileSync(path, 'x');
  const onChange = vi.fn();
  begin(onChange);
  appendFileSync(path, 'y');
  rmSync(path);
  await vi.waitFor(() => expect(onChange).toHaveBeenCalledTimes(1));
  writeFileSync(path, 'x');
  await vi.waitFor(() => expect(onChange).toHaveBeenCalledTimes(2));
});

it('calls onEnd when a watch ends by itself, but not when its user ends it', () => {
  const [ended, cleared] = [vi.fn(), vi.fn()];
  begin(() => undefined, ended)();
  begin(() => undefined, cleared);
  watches.clear();
  expect([ended, cleared].map((one) => one.mock.calls.length)).toEqual([0, 1]);
});

it('returns undefined for folders that cannot be watched', () => {
  expect(watches.begin(join(folder, 'not-there'), vi.fn(), vi.fn())).toBeUndefined();
});

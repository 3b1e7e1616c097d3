/** The files that every file system of the zoo shows, as far as it supports them. */
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fillContent } from '../../src/demo/content.ts';

const MTIME_SECONDS = Date.UTC(2024, 4, 17, 3, 4, 5) / 1000;

export interface FileSpec {
  readonly path: string;
  readonly size: number;
}

/** No size is a multiple of a block: that is hard for daemons that pass O_DIRECT on, which needs aligned reads. */
export const files: readonly FileSpec[] = [
  { path: '/small.srt', size: 7 },
  { path: '/odd.mkv', size: 1_000_000 },
  { path: '/tail.mkv', size: 5_000_001 },
  { path: '/big.mkv', size: 12_000_123 },
  { path: '/replaced.mkv', size: 300_000 },
  { path: '/empty.nfo', size: 0 },
  { path: '/folder/one.mkv', size: 70_000 },
  { path: '/folder/deeper/two.mkv', size: 4096 },
];

export const names = {
  utf8: 'Amélie – 天空 ☂.mkv',
  long: `${'l'.repeat(251)}.mkv`,
  backslash: 'back\\slash.mkv',
} as const;
export type NameKind = keyof typeof names;
export const NAMED_SIZE = 1234;

export const symlinks: readonly (readonly [path: string, target: string])[] = [
  ['/link.mkv', 'odd.mkv'],
  ['/folder/up.mkv', '../small.srt'],
  ['/folder-link', 'folder'],
];

/** The bytes of a file. They differ for each `version`. */
export function bytesOf({ path, size }: FileSpec, version = 0): Buffer {
  const bytes = Buffer.alloc(size);
  fillContent(`${path}#${String(version)}`, 0, bytes);
  return bytes;
}

export function named(kind: NameKind): FileSpec {
  return { path: `/names/${names[kind]}`, size: NAMED_SIZE };
}

/** Writes all files below `folder`. */
export function populate(folder: string, options: { symlinks: boolean; names: readonly NameKind[] }): void {
  for (const path of ['folder/deeper', 'names']) mkdirSync(join(folder, path), { recursive: true });
  for (const file of [...files, ...options.names.map(named)]) {
    writeFileSync(join(folder, file.path), bytesOf(file));
    utimesSync(join(folder, file.path), MTIME_SECONDS, MTIME_SECONDS);
  }
  if (options.symlinks) for (const [path, target] of symlinks) symlinkSync(target, join(folder, path));
}

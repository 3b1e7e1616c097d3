import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { makeFolder, startService, unmountLater, waitFor } from './sandbox.mjs';

/**
 * @typedef {object} Tree
 * @property {string} path
 * @property {boolean} fuse
 * @property {number} entries in /__all__
 * @property {number} objects in /__all__ and below it
 * @property {number} fileBytes of each file
 * @property {() => string} nextFile path inside the tree of the file that the next sample reads
 */

export const releases = 10_000;
const fileSize = { fast: 256 << 20, slow: 1 << 30, library: 1 << 30 };
/** Movies in ten releases. */
const movies = { fast: 10, slow: 10, library: 28 };
const files = 64;

/** @param {number} index */
const fileName = (index) => `/files/file-${String(index % files).padStart(3, '0')}.bin`;

/**
 * Mounts a tree. The fast one is read from the page cache, which each sample warms first. In the slow one each sample reads
 * a file that has not been read before.
 * @param {import('./sandbox.mjs').Sandbox} sandbox
 * @param {'fast' | 'slow' | 'library'} kind
 * @param {string[]} extra further options of the tree
 * @returns {Promise<Tree>}
 */
export async function mountTree(sandbox, kind, extra) {
  const path = makeFolder(sandbox, `tree-${kind}`);
  unmountLater(path);
  const argv = [
    build('tree'),
    path,
    `files=${files}`,
    `size=${fileSize[kind]}`,
    `releases=${releases}`,
    `movies=${movies[kind]}`,
    'nlink=0',
  ];
  if (kind === 'slow') argv.push('latency-ms=10');
  // As in Decypharr, the times of the root's folders follow the clock.
  if (kind === 'library') argv.push('clock-folders=1');
  argv.push(...extra);
  const service = startService(sandbox, `tree-${kind}`, argv);
  await waitFor(service, 'tree', () =>
    readFileSync(service.log, 'utf8').includes('mounted') ? true : undefined,
  );
  let next = 0;
  const fileBytes = fileSize[kind];
  return {
    path,
    fuse: true,
    entries: releases,
    objects: releases + (releases * movies[kind]) / 10,
    fileBytes,
    nextFile: () => fileName(kind === 'slow' ? next++ : 0),
  };
}

/**
 * Copies the first file and the folders to the disk, to measure the servers without FUSE below them.
 * @param {import('./sandbox.mjs').Sandbox} sandbox
 * @param {Tree} from
 * @returns {Tree}
 */
export function copyTree(sandbox, from) {
  const path = makeFolder(sandbox, 'plain');
  mkdirSync(join(path, 'files'));
  cpSync(join(from.path, fileName(0)), join(path, fileName(0)));
  for (const name of readdirSync(join(from.path, '__all__')))
    mkdirSync(join(path, '__all__', name), { recursive: true });
  execFileSync('chmod', ['-R', 'a+rX', path]);
  const { entries, objects, fileBytes } = from;
  return { path, fuse: false, entries, objects, fileBytes, nextFile: () => fileName(0) };
}

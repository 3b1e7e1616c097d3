/**
 * Saves the metadata in memory as lines of text, so that a gateway that starts before its mount can answer for what clients
 * have used. One line for each directory, most recently used first.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Kind } from './contract.ts';
import { nameFault, pathParts } from './names.ts';
import type { SavedNode, TreeNode } from './node.ts';
import type { Registry } from './registry.ts';
import { Snapshot } from './snapshot.ts';
import type { PolicyOf } from './times-policy.ts';

/** Format version. Lines of another version are not read. */
const version = 2;

/** The most saved entries, over all directories. */
const entriesMax = 200_000;

const kinds: readonly Kind[] = ['file', 'directory', 'symlink', 'fifo', 'socket', 'block', 'character'];

/** [name, index in `kinds`, attributes if it was looked up]. Names are byte strings. */
type SavedEntry = readonly [string, number, SavedNode?];

interface SavedDirectory {
  readonly path: string;
  readonly self?: SavedNode;
  /** Milliseconds since 1970 of the last change seen; null if there was none. */
  readonly changedAt: number | null;
  readonly entries: readonly SavedEntry[];
}

/** Yields the lines, with a turn of the event loop after each. The first line identifies format and export. */
export async function* warmLines(registry: Registry, exportName: string): AsyncGenerator<string> {
  yield JSON.stringify({ holdfast: 'metadata', version, export: exportName });
  let left = entriesMax;
  for (const directory of registry.listedDirectories()) {
    const snapshot = directory.directory?.snapshot;
    if (!snapshot || directory.gone) continue;
    left -= snapshot.length + 1;
    if (left < 0) return;
    yield JSON.stringify(saveDirectory(directory, snapshot));
    await turn();
  }
}

function saveDirectory(directory: TreeNode, snapshot: Snapshot<TreeNode>): SavedDirectory {
  const entries = snapshot.nodes
    .filter((node) => !node.gone && kinds.includes(node.kind))
    .map((node): SavedEntry => {
      const { saved } = node;
      const kind = kinds.indexOf(node.kind);
      return saved ? [node.name, kind, saved] : [node.name, kind];
    });
  const self = directory.saved;
  const changedAt = directory.listingChangedAt ?? null;
  return { path: directory.path, ...(self && { self }), changedAt, entries };
}

/**
 * Applies the lines of an earlier process, before any request. Returns the number of objects.
 * @throws Error if any line has another version, export or form; then none is applied.
 */
export function resumeWarm(
  registry: Registry,
  exportName: string,
  lines: readonly string[],
  policy: PolicyOf,
): number {
  const header = parse(lines[0] ?? '');
  if (header['holdfast'] !== 'metadata' || header['version'] !== version || header['export'] !== exportName) {
    throw new Error('written for another version or export');
  }
  // Parents first, as a directory is found by a walk from the root.
  const directories = lines.slice(1).filter(Boolean).map(parseDirectory);
  directories.sort((a, b) => pathParts(a.path).length - pathParts(b.path).length);
  let objects = 0;
  for (const saved of directories) {
    const directory = find(registry.root, saved.path);
    if (directory) objects += resumeDirectory(registry, directory, saved, policy);
  }
  return objects;
}

function find(root: TreeNode, path: string): TreeNode | undefined {
  let node: TreeNode | undefined = root;
  for (const part of pathParts(path)) node = node?.children?.get(part);
  return node?.kind === 'directory' ? node : undefined;
}

function resumeDirectory(
  registry: Registry,
  directory: TreeNode,
  saved: SavedDirectory,
  policy: PolicyOf,
): number {
  if (directory.directory) return 0;
  if (saved.self) directory.resume(saved.self, policy(directory), saved.changedAt ?? undefined);
  const nodes = saved.entries.map(([name, kind, entry]) => {
    const node = registry.child(directory, name, kinds[kind]!);
    if (entry) node.resume(entry, policy(node));
    node.listed = true;
    return node;
  });
  const snapshot = Snapshot.of(nodes);
  directory.directory = {
    snapshot,
    listedAt: Number.NEGATIVE_INFINITY,
    cost: 0,
    digest: undefined,
    usedOnce: undefined,
    edition: undefined,
  };
  directory.observeListing(snapshot.digest, false, Date.now(), policy(directory));
  return nodes.length;
}

function parse(line: string): Record<string, unknown> {
  const value: unknown = JSON.parse(line);
  if (typeof value !== 'object' || value === null) throw new Error('not an object');
  return value as Record<string, unknown>;
}

const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(value);

function parseDirectory(line: string): SavedDirectory {
  const { path, self, changedAt, entries } = parse(line);
  if (typeof path !== 'string' || !Array.isArray(entries)) throw new Error('not a directory');
  if (changedAt !== null && !isNumber(changedAt)) throw new Error('not a time');
  if (self !== undefined) checkNode(self);
  for (const entry of entries as unknown[]) checkEntry(entry);
  return {
    path,
    ...(self ? { self: self as SavedNode } : {}),
    changedAt: changedAt as number | null,
    entries,
  };
}

function checkEntry(value: unknown): void {
  const [name, kind, node] = Array.isArray(value) ? (value as unknown[]) : [];
  if (typeof name !== 'string' || nameFault(name) || kinds[kind as number] === undefined)
    throw new Error('not an entry');
  if (node !== undefined) checkNode(node);
}

function checkNode(value: unknown): void {
  const { raw, times } = value as Partial<SavedNode>;
  const sound =
    Array.isArray(raw) &&
    (raw as readonly unknown[]).length === 6 &&
    raw.every(isNumber) &&
    Array.isArray(times) &&
    (times as readonly unknown[]).length === 6 &&
    times.every((value, i) => (i === 4 && value === null) || isNumber(value));
  if (!sound) throw new Error('not attributes');
}

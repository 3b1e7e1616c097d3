import { posix } from 'node:path';
import { contentSeed } from './content.ts';
import { releaseName, type EntrySpec, type TreeChange, type TreeSpec } from './fuse-protocol.ts';

export interface FileNode {
  readonly type: 'file';
  /** Decides the file's bytes (content.ts). */
  readonly seed: string;
  size: number;
  mtimeMs: number;
}

export interface DirectoryNode {
  readonly type: 'directory';
  readonly names: Set<string>;
  mtimeMs: number;
}

export interface SymlinkNode {
  readonly type: 'symlink';
  readonly target: string;
  mtimeMs: number;
}

export type TreeNode = FileNode | DirectoryNode | SymlinkNode;

const MINUTE_MS = 60_000;
const VERSION_TEXT = 'v1.1.0\n';

/** The entries of the tree, without content. Changes are not announced to the kernel. */
export class TreeModel {
  readonly #nodes = new Map<string, TreeNode>();
  readonly #addedOnMs: number;

  constructor(spec: TreeSpec) {
    this.#addedOnMs = spec.addedOnMs;
    this.#nodes.set('/', { type: 'directory', names: new Set(), mtimeMs: spec.addedOnMs });
    for (const name of ['__all__', '__bad__', 'torrents', 'nzbs']) this.#directory(`/${name}`);
    this.#add({ type: 'file', path: '/version.txt', size: VERSION_TEXT.length, mtimeMs: spec.addedOnMs });
    for (let i = 0; i < spec.releases; i++) {
      this.#release('/__all__', i, spec);
      this.#release(i % 2 === 0 ? '/torrents' : '/nzbs', i, spec);
    }
    for (const entry of spec.extra) this.#add(entry);
  }

  get(path: string): TreeNode | undefined {
    return this.#nodes.get(path);
  }

  apply(change: TreeChange): void {
    switch (change.kind) {
      case 'add': {
        this.#add(change.entry);
        return;
      }
      case 'remove': {
        this.remove(change.path);
        return;
      }
      case 'resize': {
        const file = this.#file(change.path);
        file.size = change.size;
        file.mtimeMs = change.mtimeMs ?? file.mtimeMs;
        return;
      }
      case 'replace':
        this.#file(change.path);
        this.#add({ type: 'file', ...change });
        return;
      case 'touch':
        this.#existing(change.path).mtimeMs = change.mtimeMs;
    }
  }

  /** Removes the entry and everything below it. */
  remove(path: string): void {
    const node = this.#existing(path);
    if (node.type === 'directory') for (const name of [...node.names]) this.remove(posix.join(path, name));
    this.#nodes.delete(path);
    this.#directory(posix.dirname(path)).names.delete(posix.basename(path));
  }

  #release(parent: string, index: number, spec: TreeSpec): void {
    const path = `${parent}/${releaseName(index)}`;
    const mtimeMs = spec.addedOnMs + index * MINUTE_MS;
    this.#directory(path).mtimeMs = mtimeMs;
    for (const { name, size } of spec.files)
      this.#add({ type: 'file', path: `${path}/${name}`, size, mtimeMs });
  }

  #add(entry: EntrySpec): void {
    const mtimeMs = 'mtimeMs' in entry ? (entry.mtimeMs ?? this.#addedOnMs) : this.#addedOnMs;
    if (entry.type === 'directory') {
      this.#directory(entry.path).mtimeMs = mtimeMs;
      return;
    }
    this.#directory(posix.dirname(entry.path)).names.add(posix.basename(entry.path));
    const node: TreeNode =
      entry.type === 'file'
        ? { type: 'file', seed: contentSeed(entry.path, entry.version), size: entry.size, mtimeMs }
        : { type: 'symlink', target: entry.target, mtimeMs };
    this.#nodes.set(entry.path, node);
  }

  /** Returns the directory at `path`; creates it and its parents if missing. */
  #directory(path: string): DirectoryNode {
    const existing = this.#nodes.get(path);
    if (existing?.type === 'directory') return existing;
    if (existing) throw new Error(`${path} is a ${existing.type}`);
    const node: DirectoryNode = { type: 'directory', names: new Set(), mtimeMs: this.#addedOnMs };
    this.#directory(posix.dirname(path)).names.add(posix.basename(path));
    this.#nodes.set(path, node);
    return node;
  }

  #existing(path: string): TreeNode {
    const node = this.#nodes.get(path);
    if (!node || path === '/') throw new Error(`no entry ${path}`);
    return node;
  }

  #file(path: string): FileNode {
    const node = this.#existing(path);
    if (node.type !== 'file') throw new Error(`${path} is a ${node.type}`);
    return node;
  }
}

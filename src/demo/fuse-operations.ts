import { constants } from 'node:os';
import { posix } from 'node:path';
import type { FuseOperations, FuseStat } from 'fuse-native';
import { fillContent } from './content.ts';
import { isBelow, type Faults } from './faults.ts';
import type { TreeSpec } from './fuse-protocol.ts';
import type { FileNode, TreeModel, TreeNode } from './tree-model.ts';

const { ENOENT, ENOTDIR, EISDIR, EINVAL, EROFS, EBADF, ENOTEMPTY } = constants.errno;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const O_ACCMODE = 3;
const BLOCK = 512;
/** fuse-native turns 0 into 1, but stores what it gets in 32 bits. */
const ZERO_NLINK = 2 ** 32;

/** What the last lookup of a path was told. */
interface Identity {
  ino: number;
  lookedUpMs: number;
}

const modes: Record<TreeNode['type'], number> = {
  file: S_IFREG | 0o644,
  directory: S_IFDIR | 0o755,
  symlink: S_IFLNK | 0o777,
};

/** Inode numbers and times as Decypharr gives them: neither can be trusted. */
class Attributes {
  readonly #spec: TreeSpec;
  readonly #identities = new Map<string, Identity>();
  #lastInode = 0;

  constructor(spec: TreeSpec) {
    this.#spec = spec;
  }

  of(path: string, node: TreeNode): FuseStat {
    const nowMs = Date.now();
    const fresh = this.#lookup(path, nowMs);
    const mtime = this.#saysNow(path, node, fresh) ? nowMs : node.mtimeMs;
    const size = node.type === 'file' ? node.size : node.type === 'symlink' ? node.target.length : 0;
    return {
      mode: modes[node.type],
      size,
      nlink: this.#spec.nlink === 0 ? ZERO_NLINK : this.#spec.nlink,
      ino: this.#identities.get(path)!.ino,
      uid: 0,
      gid: 0,
      blksize: 4096,
      blocks: Math.ceil(size / BLOCK),
      mtime,
      atime: mtime,
      ctime: mtime,
    };
  }

  /** The kernel asks by path in both cases; after the entry timeout a request can only be a new lookup. */
  #lookup(path: string, nowMs: number): boolean {
    const known = this.#identities.get(path);
    if (known && nowMs - known.lookedUpMs < this.#spec.entryTimeoutSeconds * 1000) return false;
    const renumber = known === undefined || this.#spec.inodes === 'lookup';
    this.#identities.set(path, { ino: renumber ? ++this.#lastInode : known.ino, lookedUpMs: nowMs });
    return true;
  }

  #saysNow(path: string, node: TreeNode, fresh: boolean): boolean {
    if (this.#spec.nowPaths.some((scope) => isBelow(path, scope))) return true;
    if (this.#spec.times !== 'decypharr') return this.#spec.times === 'now';
    if (node.type === 'file') return !fresh;
    return node.type === 'directory' && posix.dirname(path) === '/';
  }
}

/** d_ino: a number that never equals st_ino. */
function directoryInode(path: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < path.length; i++) hash = Math.imul(hash ^ path.charCodeAt(i), 0x01000193);
  return (hash | 0x80000000) >>> 0;
}

function listing(model: TreeModel, path: string): { names: string[]; stats: FuseStat[] } {
  const node = model.get(path);
  const names = node?.type === 'directory' ? [...node.names] : [];
  const stat = (name: string): FuseStat => {
    const child = posix.join(path, name);
    const mode = modes[model.get(child)?.type ?? 'directory'];
    const zero = { size: 0, nlink: 1, uid: 0, gid: 0, blksize: 0, blocks: 0, mtime: 0, atime: 0, ctime: 0 };
    return { mode, ino: directoryInode(child), ...zero };
  };
  const all = ['.', '..', ...names];
  return { names: all, stats: all.map(stat) };
}

/** The operations of the tree: `model` says what is there, `faults` when and whether it is told. */
export function makeOperations(spec: TreeSpec, model: TreeModel, faults: Faults): FuseOperations {
  const attributes = new Attributes(spec);
  const open = new Map<number, { file: FileNode; path: string }>();
  let lastDescriptor = 0;

  const getattr: FuseOperations['getattr'] = (path, reply) =>
    faults.pass('lookup', path, (error) => {
      const node = model.get(path);
      if (error !== 0 || !node) reply(error || -ENOENT);
      else reply(0, attributes.of(path, node));
    });

  /** Decypharr removes files of a release and releases, nothing else. */
  const remove = (path: string, wanted: 'file' | 'directory', reply: (error: number) => void) =>
    faults.pass('change', path, (error) => {
      const node = model.get(path);
      if (error !== 0 || !node) {
        reply(error || -ENOENT);
        return;
      }
      if (wanted === 'directory' && node.type !== 'directory') {
        reply(-ENOTDIR);
        return;
      }
      if (wanted === 'file' && node.type === 'directory') {
        reply(-EISDIR);
        return;
      }
      if (node.type === 'directory' && node.names.size > 0) {
        reply(-ENOTEMPTY);
        return;
      }
      model.remove(path);
      reply(0);
    });

  return {
    getattr,
    fgetattr: (path, _fd, reply) => getattr(path, reply),
    statfs: (_path, reply) => {
      const space = { blocks: 2 ** 28, bfree: 2 ** 27, bavail: 2 ** 27, files: 2 ** 20, ffree: 0, favail: 0 };
      reply(0, { bsize: 4096, frsize: 4096, namemax: 255, ...space });
    },
    readdir: (path, reply) =>
      faults.pass('list', path, (error) => {
        if (error !== 0 || model.get(path)?.type !== 'directory') {
          reply(error || -ENOENT);
          return;
        }
        const { names, stats } = listing(model, path);
        reply(0, names, stats);
      }),
    readlink: (path, reply) =>
      faults.pass('lookup', path, (error) => {
        const node = model.get(path);
        if (error !== 0 || node?.type !== 'symlink') reply(error || (node ? -EINVAL : -ENOENT));
        else reply(0, node.target);
      }),
    open: (path, flags, reply) =>
      faults.pass('open', path, (error) => {
        const file = model.get(path);
        if (error !== 0 || file?.type !== 'file') {
          reply(error || (file ? -EISDIR : -ENOENT));
          return;
        }
        if ((flags & O_ACCMODE) !== 0) {
          reply(-EROFS);
          return;
        }
        open.set(++lastDescriptor, { file, path });
        reply(0, lastDescriptor);
      }),
    read: (path, fd, buffer, length, position, reply) =>
      faults.pass('read', path, (error) => {
        const file = open.get(fd)?.file;
        if (error !== 0 || !file) {
          reply(error || -EBADF);
          return;
        }
        const bytes = Math.max(0, Math.min(length, file.size - position));
        fillContent(file.seed, position, buffer.subarray(0, bytes));
        faults.countBytes(path, bytes);
        reply(bytes);
      }),
    release: (_path, fd, reply) => {
      open.delete(fd);
      reply(0);
    },
    unlink: (path, reply) => remove(path, 'file', reply),
    rmdir: (path, reply) => remove(path, 'directory', reply),
  };
}

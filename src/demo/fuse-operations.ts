import { constants as fsConstants } from 'node:fs';
import { constants } from 'node:os';
import { posix } from 'node:path';
import type { FuseOperations, FuseStat } from 'fuse-native';
import { fillContent } from './content.ts';
import type { Departure } from './departure.ts';
import { isBelow, type Faults } from './faults.ts';
import type { TreeSpec } from './fuse-protocol.ts';
import type { Provider } from './provider.ts';
import type { FileNode, TreeModel, TreeNode } from './tree-model.ts';
import type { Usage } from './usage.ts';

const { ENOENT, ENOTDIR, EISDIR, EINVAL, EROFS, EBADF, ENOTEMPTY } = constants.errno;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const O_ACCMODE = 3;
const { O_DIRECT } = fsConstants;
const BLOCK = 512;
/** fuse-native replaces an nlink of 0 by 1, but truncates to 32 bits: this value arrives as 0. */
const ZERO_NLINK = 2 ** 32;

/** The state of one mount: its tree, faults, counters and provider. */
export interface Service {
  readonly spec: TreeSpec;
  readonly model: TreeModel;
  readonly faults: Faults;
  readonly usage: Usage;
  readonly provider: Provider | undefined;
  /** Set once the daemon begins to shut down. */
  departure: Departure | undefined;
}

interface Descriptor {
  readonly file: FileNode;
  readonly path: string;
  readonly direct: boolean;
  /** Opened while the daemon was shutting down. */
  readonly late: boolean;
}

/** The inode number that the last lookup of a path returned, and when. */
interface Identity {
  ino: number;
  lookedUpMs: number;
}

const modes: Record<TreeNode['type'], number> = {
  file: S_IFREG | 0o644,
  directory: S_IFDIR | 0o755,
  symlink: S_IFLNK | 0o777,
};

/** Inode numbers and times as Decypharr reports them. Neither is stable. */
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
      // Decypharr reports inode 0 for its root.
      ino: path === '/' ? 0 : this.#identities.get(path)!.ino,
      uid: 0,
      gid: 0,
      blksize: 4096,
      blocks: Math.ceil(size / BLOCK),
      mtime,
      atime: mtime,
      ctime: mtime,
    };
  }

  /**
   * Whether this getattr is a fresh lookup. libfuse passes only the path for both; a request that comes after the entry
   * timeout must be a new lookup.
   */
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

/** The d_ino of a directory entry. The top bit is set, so that it never equals st_ino. */
function directoryInode(path: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < path.length; i++) hash = Math.imul(hash ^ path.charCodeAt(i), 0x01000193);
  return (hash | 0x80000000) >>> 0;
}

function listing({ model, faults }: Service, path: string): { names: string[]; stats: FuseStat[] } {
  const node = model.get(path);
  const there = node?.type === 'directory' ? [...node.names] : [];
  const names = there
    .filter((name) => !faults.isLost(posix.join(path, name)))
    .slice(0, faults.listingLimit(path));
  const stat = (name: string): FuseStat => {
    const child = posix.join(path, name);
    const mode = modes[model.get(child)?.type ?? 'directory'];
    const zero = { size: 0, nlink: 1, uid: 0, gid: 0, blksize: 0, blocks: 0, mtime: 0, atime: 0, ctime: 0 };
    return { mode, ino: directoryInode(child), ...zero };
  };
  const all = ['.', '..', ...names];
  return { names: all, stats: all.map(stat) };
}

/** The FUSE operations. The model holds the entries; the faults delay, hold or fail each operation. */
export function makeOperations(service: Service): FuseOperations {
  const { spec, faults } = service;
  const attributes = new Attributes(spec);
  const find = (path: string) => (faults.isLost(path) ? undefined : service.model.get(path));

  const getattr: FuseOperations['getattr'] = (path, reply) =>
    faults.pass('lookup', path, (error) => {
      const node = find(path);
      if (error !== 0 || !node) reply(error || -ENOENT);
      else reply(0, attributes.of(path, node));
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
        if (error !== 0 || find(path)?.type !== 'directory') {
          reply(error || -ENOENT);
          return;
        }
        const { names, stats } = listing(service, path);
        reply(0, names, stats);
      }),
    readlink: (path, reply) =>
      faults.pass('lookup', path, (error) => {
        const node = find(path);
        if (error !== 0 || node?.type !== 'symlink') reply(error || (node ? -EINVAL : -ENOENT));
        else reply(0, node.target);
      }),
    ...contentOperations(service, find),
    ...removeOperations(service),
  };
}

/** Open, read and release. */
function contentOperations(
  service: Service,
  find: (path: string) => TreeNode | undefined,
): Pick<FuseOperations, 'open' | 'read' | 'release'> {
  const { spec, faults, usage, provider } = service;
  const open = new Map<number, Descriptor>();
  let lastDescriptor = 0;

  const refusal = (file: TreeNode | undefined, flags: number): number => {
    if (file?.type !== 'file') return file ? -EISDIR : -ENOENT;
    if ((flags & O_ACCMODE) !== 0) return -EROFS;
    return spec.direct === 'refuse-open' && (flags & O_DIRECT) !== 0 ? -EINVAL : 0;
  };
  /** Bytes read, or a negative errno. */
  const fill = (descriptor: Descriptor, buffer: Buffer, position: number, onItsWay: boolean): number => {
    const { file, path } = descriptor;
    let bytes = Math.max(0, Math.min(buffer.length, file.size - position));
    if (service.departure) {
      const onDisk = provider?.isOnDisk(file.seed, position, bytes) ?? false;
      bytes = service.departure.answer({ bytes, onItsWay, openBefore: !descriptor.late, onDisk });
      if (bytes < 0) return bytes;
    }
    fillContent(file.seed, position, buffer.subarray(0, bytes));
    faults.countBytes(path, bytes);
    return bytes;
  };

  return {
    open: (path, flags, reply) =>
      faults.pass('open', path, (error) => {
        const file = find(path);
        const refused = error || refusal(file, flags);
        if (refused !== 0) {
          reply(refused);
          return;
        }
        const late = service.departure !== undefined;
        const descriptor = { file: file as FileNode, path, direct: (flags & O_DIRECT) !== 0, late };
        open.set(++lastDescriptor, descriptor);
        usage.opened(path);
        provider?.open(descriptor.file.seed, path, descriptor.file.size);
        reply(0, lastDescriptor);
      }),
    read: (path, fd, whole, length, position, reply) => {
      const buffer = whole.subarray(0, length);
      const cameBefore = service.departure === undefined;
      faults.pass('read', path, (error) => {
        const descriptor = open.get(fd);
        if (error !== 0 || !descriptor) {
          reply(error || -EBADF);
          return;
        }
        if (descriptor.direct && refusesDirectRead(spec, position, length)) {
          reply(-EINVAL);
          return;
        }
        if (!provider || service.departure) {
          reply(fill(descriptor, buffer, position, cameBefore));
          return;
        }
        provider.read(descriptor.file.seed, position, length, (failed) =>
          reply(failed || fill(descriptor, buffer, position, cameBefore)),
        );
      });
    },
    release: (_path, fd, reply) => {
      const descriptor = open.get(fd);
      open.delete(fd);
      if (descriptor) {
        usage.closed(descriptor.path);
        provider?.close(descriptor.file.seed);
      }
      reply(0);
    },
  };
}

function refusesDirectRead({ direct }: TreeSpec, position: number, length: number): boolean {
  if (direct === 'refuse-unaligned') return position % BLOCK !== 0 || length % BLOCK !== 0;
  return direct === 'refuse-read';
}

/** Decypharr can remove releases and files of a release. Any entry can be removed here. */
function removeOperations({ model, faults }: Service): Pick<FuseOperations, 'unlink' | 'rmdir'> {
  const refusal = (node: TreeNode | undefined, wanted: 'file' | 'directory'): number => {
    if (!node) return -ENOENT;
    if (wanted === 'directory' && node.type !== 'directory') return -ENOTDIR;
    if (wanted === 'file' && node.type === 'directory') return -EISDIR;
    return node.type === 'directory' && node.names.size > 0 ? -ENOTEMPTY : 0;
  };
  const remove = (path: string, wanted: 'file' | 'directory', reply: (error: number) => void) =>
    faults.pass('change', path, (error) => {
      const refused = error || refusal(model.get(path), wanted);
      if (refused === 0) model.remove(path);
      reply(refused);
    });
  return {
    unlink: (path, reply) => remove(path, 'file', reply),
    rmdir: (path, reply) => remove(path, 'directory', reply),
  };
}

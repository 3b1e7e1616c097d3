import {
  type CreateHow,
  type DirectoryListing,
  type FileAttributes,
  FileType,
  type FsInfo,
  type FsStat,
  MountError,
  type MountBackend,
  type NfsBackend,
  type NfsChanges,
  NfsError,
  type NfsTime,
  type PathConf,
  type ReadResult,
  type SetAttributes,
  type SpecialNode,
  StableHow,
  type WriteResult,
} from '../backend.ts';
import { MountStatus, NfsStatus } from '../status.ts';

/** An object of the memory tree. */
export class MemoryNode {
  readonly id: number;
  readonly type: FileType;
  parent: MemoryNode | undefined;
  mode: number;
  uid = 1000;
  gid = 1000;
  nlink = 1;
  rdevMajor = 0;
  rdevMinor = 0;
  data: Buffer = Buffer.alloc(0);
  target = '';
  verifier: Buffer | undefined;
  readonly children = new Map<string, { readonly node: MemoryNode; readonly cookie: number }>();
  nextCookie = 3;
  atime: NfsTime = { seconds: 1_000_000_000, nanoseconds: 1 };
  mtime: NfsTime = { seconds: 1_000_000_000, nanoseconds: 2 };
  ctime: NfsTime = { seconds: 1_000_000_000, nanoseconds: 3 };

  constructor(id: number, type: FileType, mode: number, parent: MemoryNode | undefined) {
    this.id = id;
    this.type = type;
    this.mode = mode;
    this.parent = parent;
  }
}

/** A writable tree in memory, for tests and for the server in the README. */
export class MemoryBackend implements NfsBackend<MemoryNode>, NfsChanges<MemoryNode>, MountBackend {
  readonly root = new MemoryNode(1, FileType.directory, 0o755, undefined);
  readonly writeVerifier = Buffer.from('verifier');
  changes: NfsChanges<MemoryNode> | undefined = this;
  /** Whether `cachedAttributes` returns attributes. Set to false to get replies without them. */
  attributesCached = true;
  /** Of all listings. A test that changes an entry sets another one. */
  edition: object | undefined;
  readonly #nodes = new Map<number, MemoryNode>([[1, this.root]]);
  #nextId = 2;
  #clock = 0;

  // MOUNT

  exports(): { path: string; groups: string[] }[] {
    return [{ path: '/export', groups: ['127.0.0.0/8'] }];
  }

  mount(path: string): Buffer {
    const [, first, ...rest] = path.split('/');
    if (first !== 'export') throw new MountError(MountStatus.NOENT);
    let node = this.root;
    for (const name of rest.filter((part) => part !== '')) {
      const child = node.children.get(name)?.node;
      if (child === undefined) throw new MountError(MountStatus.NOENT);
      node = child;
    }
    if (node.type !== FileType.directory) throw new MountError(MountStatus.NOTDIR);
    return this.handle(node);
  }

  // Looking

  resolve(handle: Buffer): MemoryNode {
    if (handle.length !== 16 || handle.toString('latin1', 0, 8) !== 'memory00') {
      throw new NfsError(NfsStatus.BADHANDLE);
    }
    const node = this.#nodes.get(Number(handle.readBigUInt64BE(8)));
    if (node === undefined) throw new NfsError(NfsStatus.STALE);
    return node;
  }

  handle(node: MemoryNode): Buffer {
    const handle = Buffer.alloc(16);
    handle.write('memory00', 'latin1');
    handle.writeBigUInt64BE(BigInt(node.id), 8);
    return handle;
  }

  fileid(node: MemoryNode): { high: number; low: number } {
    return { high: 0x10000000, low: node.id };
  }

  cachedAttributes(node: MemoryNode): FileAttributes | undefined {
    return this.attributesCached ? this.getAttributes(node) : undefined;
  }

  getAttributes(node: MemoryNode): FileAttributes {
    const size = node.type === FileType.symlink ? node.target.length : node.data.length;
    return {
      type: node.type,
      mode: node.mode,
      nlink: node.type === FileType.directory ? 2 : node.nlink,
      uid: node.uid,
      gid: node.gid,
      size,
      used: Math.ceil(size / 4096) * 4096,
      rdevMajor: node.rdevMajor,
      rdevMinor: node.rdevMinor,
      fsidHigh: 0x686f6c64,
      fsidLow: 7,
      fileidHigh: 0x10000000,
      fileidLow: node.id,
      atime: node.atime,
      mtime: node.mtime,
      ctime: node.ctime,
    };
  }

  access(_node: MemoryNode, wanted: number): number {
    return wanted;
  }

  lookup(directory: MemoryNode, name: string): MemoryNode {
    return this.#child(directory, name);
  }

  parent(node: MemoryNode): MemoryNode {
    return node.parent ?? this.root;
  }

  readlink(node: MemoryNode): string {
    if (node.type !== FileType.symlink) throw new NfsError(NfsStatus.INVAL);
    return node.target;
  }

  read(node: MemoryNode, offset: number, target: Buffer): ReadResult | Promise<ReadResult> {
    if (node.type === FileType.directory) throw new NfsError(NfsStatus.ISDIR);
    if (node.type !== FileType.regular) throw new NfsError(NfsStatus.INVAL);
    const length = node.data.copy(target, 0, Math.min(offset, node.data.length));
    return { length, eof: offset + length >= node.data.length };
  }

  list(directory: MemoryNode): DirectoryListing<MemoryNode> {
    const entries = [...this.#directory(directory).children].map(([name, entry]) => ({ name, ...entry }));
    return {
      length: entries.length,
      edition: this.edition,
      cookieAt: (index) => entries[index]!.cookie,
      nameAt: (index) => entries[index]!.name,
      fileidHighAt: () => 0x10000000,
      fileidLowAt: (index) => entries[index]!.node.id,
      after: (cookie) => {
        const index = entries.findIndex((entry) => entry.cookie > cookie);
        return index < 0 ? entries.length : index;
      },
      load: () => undefined,
      nodeAt: (index) => entries[index]!.node,
    };
  }

  fsStat(): FsStat {
    return {
      totalBytes: 2 ** 40,
      freeBytes: 2 ** 39,
      availableBytes: 2 ** 38,
      totalFiles: 1000,
      freeFiles: 500,
      availableFiles: 400,
      invariantSeconds: 0,
    };
  }

  fsInfo(): FsInfo {
    return {
      maxFileSize: Number.MAX_SAFE_INTEGER,
      timeDelta: { seconds: 0, nanoseconds: 1 },
      symlinks: true,
      hardLinks: true,
      canSetTime: true,
      homogeneous: true,
    };
  }

  pathConf(): PathConf {
    return {
      linkMax: 32,
      nameMax: 255,
      noTruncation: true,
      chownRestricted: true,
      caseInsensitive: false,
      casePreserving: true,
    };
  }

  // Changing

  setAttributes(node: MemoryNode, wanted: SetAttributes, guard: NfsTime | undefined): void {
    if (guard !== undefined && guard.nanoseconds !== node.ctime.nanoseconds) {
      throw new NfsError(NfsStatus.NOT_SYNC);
    }
    if (wanted.mode !== undefined) node.mode = wanted.mode;
    if (wanted.uid !== undefined) node.uid = wanted.uid;
    if (wanted.gid !== undefined) node.gid = wanted.gid;
    if (wanted.size !== undefined) this.#resize(node, Number(wanted.size));
    const now = this.#now();
    if (wanted.atime !== undefined) node.atime = wanted.atime === 'server' ? now : wanted.atime;
    if (wanted.mtime !== undefined) node.mtime = wanted.mtime === 'server' ? now : wanted.mtime;
    node.ctime = now;
  }

  write(node: MemoryNode, offset: number, data: Buffer, stable: StableHow): WriteResult {
    if (node.type !== FileType.regular) throw new NfsError(NfsStatus.INVAL);
    if (node.data.length < offset + data.length) this.#resize(node, offset + data.length);
    data.copy(node.data, offset);
    node.mtime = node.ctime = this.#now();
    return { length: data.length, committed: stable };
  }

  create(directory: MemoryNode, name: string, how: CreateHow): MemoryNode {
    const existing = this.#directory(directory).children.get(name)?.node;
    if (existing !== undefined) {
      if (how.mode === 'exclusive' && existing.verifier?.equals(how.verifier) === true) return existing;
      if (how.mode !== 'unchecked') throw new NfsError(NfsStatus.EXIST);
      if (existing.type !== FileType.regular) throw new NfsError(NfsStatus.EXIST);
      this.setAttributes(existing, how.attributes, undefined);
      return existing;
    }
    const node = this.add(directory, name, FileType.regular);
    if (how.mode === 'exclusive') node.verifier = Buffer.from(how.verifier);
    else this.setAttributes(node, how.attributes, undefined);
    return node;
  }

  makeDirectory(directory: MemoryNode, name: string, wanted: SetAttributes): MemoryNode {
    return this.#make(directory, name, FileType.directory, wanted);
  }

  makeSymlink(directory: MemoryNode, name: string, target: string, wanted: SetAttributes): MemoryNode {
    const node = this.#make(directory, name, FileType.symlink, wanted);
    node.target = target;
    return node;
  }

  makeNode(directory: MemoryNode, name: string, special: SpecialNode): MemoryNode {
    const node = this.#make(directory, name, special.type, special.attributes);
    node.rdevMajor = special.rdevMajor;
    node.rdevMinor = special.rdevMinor;
    return node;
  }

  remove(directory: MemoryNode, name: string): void {
    const node = this.#child(directory, name);
    if (node.type === FileType.directory) throw new NfsError(NfsStatus.ISDIR);
    this.#detach(directory, name, node);
  }

  removeDirectory(directory: MemoryNode, name: string): void {
    const node = this.#child(directory, name);
    if (node.type !== FileType.directory) throw new NfsError(NfsStatus.NOTDIR);
    if (node.children.size > 0) throw new NfsError(NfsStatus.NOTEMPTY);
    this.#detach(directory, name, node);
  }

  rename(from: MemoryNode, fromName: string, to: MemoryNode, toName: string): void {
    const node = this.#child(from, fromName);
    const replaced = this.#directory(to).children.get(toName)?.node;
    if (replaced !== undefined) this.#detach(to, toName, replaced);
    from.children.delete(fromName);
    this.#attach(to, toName, node);
    this.#touch(from);
  }

  link(node: MemoryNode, directory: MemoryNode, name: string): void {
    if (this.#directory(directory).children.has(name)) throw new NfsError(NfsStatus.EXIST);
    node.nlink++;
    this.#attach(directory, name, node);
  }

  commit(): void {
    // Memory needs no commit.
  }

  /** Adds an object to a directory. */
  add(directory: MemoryNode, name: string, type: FileType, data = Buffer.alloc(0)): MemoryNode {
    const mode = type === FileType.directory ? 0o755 : 0o644;
    const node = new MemoryNode(this.#nextId++, type, mode, undefined);
    node.data = data;
    this.#nodes.set(node.id, node);
    this.#attach(directory, name, node);
    return node;
  }

  #make(directory: MemoryNode, name: string, type: FileType, wanted: SetAttributes): MemoryNode {
    if (this.#directory(directory).children.has(name)) throw new NfsError(NfsStatus.EXIST);
    const node = this.add(directory, name, type);
    this.setAttributes(node, wanted, undefined);
    return node;
  }

  #attach(directory: MemoryNode, name: string, node: MemoryNode): void {
    node.parent = directory;
    directory.children.set(name, { node, cookie: directory.nextCookie++ });
    this.#touch(directory);
  }

  #detach(directory: MemoryNode, name: string, node: MemoryNode): void {
    directory.children.delete(name);
    if (--node.nlink === 0 || node.type === FileType.directory) this.#nodes.delete(node.id);
    this.#touch(directory);
  }

  #touch(node: MemoryNode): void {
    node.mtime = node.ctime = this.#now();
  }

  #now(): NfsTime {
    return { seconds: 1_700_000_000, nanoseconds: ++this.#clock };
  }

  #resize(node: MemoryNode, size: number): void {
    if (size > 64 * 1024 * 1024) throw new NfsError(NfsStatus.FBIG);
    const data = Buffer.alloc(size);
    node.data.copy(data);
    node.data = data;
  }

  #directory(node: MemoryNode): MemoryNode {
    if (node.type !== FileType.directory) throw new NfsError(NfsStatus.NOTDIR);
    return node;
  }

  #child(directory: MemoryNode, name: string): MemoryNode {
    const node = this.#directory(directory).children.get(name)?.node;
    if (node === undefined) throw new NfsError(NfsStatus.NOENT);
    return node;
  }
}

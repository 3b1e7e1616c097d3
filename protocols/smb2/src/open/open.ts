import type { OpenNode } from '../backend.ts';
import type { ServerContext } from '../context/context.ts';
import type { Reply } from '../context/reply.ts';
import type { Caching } from '../file/caching.ts';
import type { FileHome, FileState } from '../file/file-state.ts';
import type { CacheTaker } from '../file/granting.ts';
import { Lease } from '../file/lease.ts';
import type { Node } from '../share/volume.ts';
import { LeaseState } from '../wire/constants.ts';
import type { FileId } from '../wire/file-id.ts';
import type { DirectoryView } from './directory-view.ts';
import type { Enumeration } from './enumeration.ts';
import type { NotifyQueue } from './notify.ts';
import type { OpenSession, OpenTree } from './owner.ts';

export interface Durability {
  readonly version: 1 | 2;
  /** Whether the open is kept without caching, and when its caching is broken. */
  readonly persistent: boolean;
  readonly timeoutMs: number;
  /** For version 2 only. */
  readonly createGuid: Buffer | undefined;
  /** The user and the client that may reconnect. */
  readonly userName: string;
  readonly clientGuid: Buffer;
}

export interface OpenInit {
  readonly volatileId: number;
  readonly persistentId: bigint;
  readonly grantedAccess: number;
  readonly shareAccess: number;
  readonly options: number;
  readonly isDirectory: boolean;
  readonly posix: boolean;
  /** Alias id of the links that led to it. */
  readonly alias: bigint;
  /** Id of the client's lease on the directory, if the client named one. */
  readonly parentLease?: string | undefined;
}

/** Keeps the tables of opens that are not part of a session. */
export interface OpenRegistry {
  closed(open: Open): void;
  /** The client of the open is disconnected and may reconnect. */
  preserved(open: Open): void;
  reconnected(open: Open): void;
  /** The last open of a lease was closed. */
  leaseEnded(lease: Lease): void;
}

/** FILE_WRITE_THROUGH, FILE_SEQUENTIAL_ONLY, FILE_SYNCHRONOUS_IO_*, FILE_DELETE_ON_CLOSE ([MS-FSCC] 2.4.31). */
export const KNOWN_MODES = 0x103e;

/** An open of a file, a directory or a stream ([MS-SMB2] 3.3.1.10). */
export class Open implements CacheTaker, DirectoryView {
  readonly kind = 'file';
  readonly file: FileState;
  readonly volatileId: number;
  readonly fileId: FileId;
  /** The two halves of the persistent part, which each request compares. */
  readonly persistentLow: number;
  readonly persistentHigh: number;
  readonly grantedAccess: number;
  readonly shareAccess: number;
  readonly options: number;
  readonly isDirectory: boolean;
  readonly posix: boolean;
  readonly alias: bigint;
  readonly parentLease: string | undefined;
  readonly #context: ServerContext;
  readonly #registry: OpenRegistry;
  tree: OpenTree | undefined;
  backend: OpenNode<Node> | undefined;
  caching: Caching | undefined;
  durable: Durability | undefined;
  deleteOnClose = false;
  /** FilePositionInformation: kept for the client, not used. */
  position = 0;
  mode: number;
  enumeration: Enumeration | undefined;
  /** The running QUERY_DIRECTORY; the next one waits for it. */
  scan: Promise<void> | undefined;
  notify: NotifyQueue | undefined;
  /** Lock sequence numbers already seen, by index ([MS-SMB2] 3.3.5.14). */
  readonly lockSequences = new Map<number, number>();
  /** Highest ChannelSequence seen ([MS-SMB2] 3.3.5.2.10). */
  channelSequence = 0;
  /** The key by which a replayed CREATE finds this open ([MS-SMB2] 3.3.5.9.10), and the CreateAction to reply. */
  replayKey: string | undefined;
  createAction = 0;
  closed = false;
  #scavenger: NodeJS.Timeout | undefined;
  #running = 0;
  #idle: (() => void)[] = [];

  constructor(
    context: ServerContext,
    registry: OpenRegistry,
    file: FileState,
    tree: OpenTree,
    init: OpenInit,
  ) {
    this.#context = context;
    this.#registry = registry;
    this.file = file;
    this.tree = tree;
    this.volatileId = init.volatileId;
    this.fileId = { persistent: init.persistentId, volatile: BigInt(init.volatileId) };
    this.persistentLow = Number(init.persistentId & 0xffffffffn);
    this.persistentHigh = Number(init.persistentId >> 32n);
    this.grantedAccess = init.grantedAccess;
    this.shareAccess = init.shareAccess;
    this.options = init.options;
    this.isDirectory = init.isDirectory;
    this.posix = init.posix;
    this.alias = init.alias;
    this.parentLease = init.parentLease;
    this.mode = init.options & KNOWN_MODES;
    file.opens.add(this);
  }

  get session(): OpenSession | undefined {
    return this.tree?.session;
  }

  get isConnected(): boolean {
    return this.tree !== undefined;
  }

  get isPersistent(): boolean {
    return this.durable?.persistent === true;
  }

  get share(): FileHome {
    return this.file.share;
  }

  get maxSymlinkHops(): number {
    return this.#context.limits.maxSymlinkHops;
  }

  get node(): Node {
    return this.file.node;
  }

  get lease(): Lease | undefined {
    return this.caching instanceof Lease ? this.caching : undefined;
  }

  /** Marks the start of a handler that uses the open. A CLOSE waits until `end` was called for all of them. */
  begin(): void {
    this.#running++;
  }

  end(): void {
    if (--this.#running > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }

  whenIdle(): Promise<void> | undefined {
    return this.#running === 0 ? undefined : new Promise((resolve) => this.#idle.push(resolve));
  }

  tell(body: Reply): boolean {
    return this.tree?.session.notify(body, this.tree.encrypted) ?? false;
  }

  fileDeleted(): void {
    this.notify?.deleted();
  }

  /** Called when the connection is lost. Keeps a durable open for its client. Returns false when the open is not kept. */
  preserve(): boolean {
    const { durable } = this;
    if (!durable || this.deleteOnClose || this.file.deletePending) return false;
    if (durable.version === 1 && this.caching?.breaking === true) return false;
    if (!durable.persistent && this.#locksWithoutWriteCache) return false;
    this.session?.opens.delete(this.volatileId);
    this.tree = undefined;
    this.notify?.end();
    this.notify = undefined;
    this.#registry.preserved(this);
    this.#scavenger = setTimeout(() => this.dispose(), durable.timeoutMs);
    this.#scavenger.unref();
    this.caching?.connectionLost();
    return true;
  }

  /**
   * Whether the open has locks but no write cache. Such an open is not kept, as on Windows: while its client is
   * disconnected, others could write to the locked ranges.
   */
  get #locksWithoutWriteCache(): boolean {
    const { caching, file, share } = this;
    const caches = ((caching?.state ?? LeaseState.NONE) & LeaseState.WRITE) !== 0;
    return !caches && !share.readOnly && file.locks.countOf(this) > 0;
  }

  /** Called when a client reconnects to a preserved open. */
  reconnect(tree: OpenTree): void {
    clearTimeout(this.#scavenger);
    this.#registry.reconnected(this);
    this.tree = tree;
  }

  /** A CLOSE has arrived: later requests do not find the open, running ones continue. */
  beginClose(): void {
    this.durable = undefined;
    this.session?.opens.delete(this.volatileId);
  }

  /** Closes the open when no caller waits. Failures are reported to the hooks. */
  dispose(): void {
    const done = this.close();
    if (done instanceof Promise)
      done.catch((error: unknown) => this.#context.hooks.bug?.(error, 'delete on close'));
  }

  /** Releases everything. The last close of a file with a pending delete removes it. */
  close(): void | Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.#scavenger);
    this.#registry.closed(this);
    this.session?.opens.delete(this.volatileId);
    this.notify?.end();
    this.#releaseCaching();
    this.#tellDirectory();
    const { file } = this;
    file.locks.removeAll(this);
    file.opens.delete(this);
    this.backend?.close();
    if (this.deleteOnClose) {
      // Clients that only cache their handle must close it now.
      file.breakHandleCaches(undefined);
      file.deletePending = true;
      file.notifyDeleted();
    }
    const doomed = file.deletionDue();
    const removal = doomed ? this.#remove(doomed) : undefined;
    const finish = (): void => {
      file.share.release(file);
      if (doomed) file.share.release(doomed);
      file.changed();
    };
    if (removal instanceof Promise) return removal.finally(finish);
    finish();
  }

  #tellDirectory(): void {
    const { file, share } = this;
    if (!file.isNewsToDirectory) return;
    file.isNewsToDirectory = false;
    const place = share.backend.parent(file.node);
    if (place) share.files.get(place.directory)?.breakDirectoryLeases(this.parentLease);
  }

  #releaseCaching(): void {
    const { caching } = this;
    this.caching = undefined;
    if (caching instanceof Lease) {
      caching.opens.delete(this);
      if (caching.opens.size > 0) {
        caching.connectionLost();
        return;
      }
      this.#registry.leaseEnded(caching);
    }
    caching?.drop();
  }

  #remove({ node }: FileState): void | Promise<void> {
    const { changes } = this.share.backend;
    if (!changes) return;
    const { nobody: caller, neverAborted: signal } = this.#context;
    const { parentLease } = this;
    const report = (error: unknown): void => this.#context.reportUnlessExpected(error, 'delete on close');
    try {
      const isStream = changes.streams?.owner(node) !== undefined;
      const removed = isStream
        ? changes.streams.remove(node)
        : changes.remove(node, { caller, signal, parentLease });
      if (removed instanceof Promise) return removed.catch(report);
    } catch (error) {
      report(error);
    }
  }
}

import type { OpenNode } from '../backend.ts';
import type { FileId } from '../wire/file-id.ts';
import type { Caching } from './caching.ts';
import type { Enumeration } from './enumeration.ts';
import type { FileState } from './file-state.ts';
import { Lease } from './lease.ts';
import type { NotifyQueue } from './notify.ts';
import type { PipeOpen } from './pipe-open.ts';
import type { Reply } from './reply.ts';
import type { ServerState } from './server-state.ts';
import type { Session } from './session.ts';
import type { Node, Share } from './share.ts';
import type { TreeConnect } from './tree.ts';

export interface Durability {
  readonly version: 1 | 2;
  readonly timeoutMs: number;
  /** Version 2. */
  readonly createGuid: Buffer | undefined;
  /** Who may reconnect. */
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
}

/** An open of a file, a directory or a stream ([MS-SMB2] 3.3.1.10). */
export class Open {
  readonly kind = 'file';
  readonly file: FileState;
  readonly volatileId: number;
  readonly fileId: FileId;
  readonly grantedAccess: number;
  readonly shareAccess: number;
  readonly options: number;
  readonly isDirectory: boolean;
  /** Opened with the POSIX create context. */
  readonly posix: boolean;
  readonly #server: ServerState;
  session: Session | undefined;
  tree: TreeConnect | undefined;
  backend: OpenNode<Node> | undefined;
  caching: Caching | undefined;
  durable: Durability | undefined;
  deleteOnClose = false;
  /** FilePositionInformation: kept for the client, used for nothing. */
  position = 0;
  mode: number;
  enumeration: Enumeration | undefined;
  /** The QUERY_DIRECTORY in progress, for the next one to wait for. */
  scan: Promise<void> | undefined;
  notify: NotifyQueue | undefined;
  /** Lock sequence numbers seen, by index ([MS-SMB2] 3.3.5.14). */
  readonly lockSequences = new Map<number, number>();
  /** Highest ChannelSequence seen ([MS-SMB2] 3.3.5.2.10). */
  channelSequence = 0;
  /** Under which a replayed CREATE finds it ([MS-SMB2] 3.3.5.9.10), and what that is answered. */
  replayKey: string | undefined;
  createAction = 0;
  closed = false;
  #scavenger: NodeJS.Timeout | undefined;
  #running = 0;
  #idle: (() => void)[] = [];

  constructor(server: ServerState, file: FileState, tree: TreeConnect, init: OpenInit) {
    this.#server = server;
    this.file = file;
    this.tree = tree;
    this.session = tree.session;
    this.volatileId = init.volatileId;
    this.fileId = { persistent: init.persistentId, volatile: BigInt(init.volatileId) };
    this.grantedAccess = init.grantedAccess;
    this.shareAccess = init.shareAccess;
    this.options = init.options;
    this.isDirectory = init.isDirectory;
    this.posix = init.posix;
    this.mode = init.options & 0x103e;
    file.opens.add(this);
    server.opens++;
    tree.session.opens.set(this.volatileId, this);
  }

  get share(): Share {
    return this.file.share;
  }

  get maxSymlinkHops(): number {
    return this.#server.limits.maxSymlinkHops;
  }

  get node(): Node {
    return this.file.node;
  }

  get lease(): Lease | undefined {
    return this.caching instanceof Lease ? this.caching : undefined;
  }

  /** Between these a CLOSE waits, so that no handler loses its open halfway. */
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

  /** The connection is gone: keeps a durable open for its client. Returns false when it is not durable. */
  preserve(): boolean {
    const { durable } = this;
    if (!durable || this.deleteOnClose || this.file.deletePending) return false;
    if (durable.version === 1 && this.caching?.breaking === true) return false;
    this.session?.opens.delete(this.volatileId);
    this.session = undefined;
    this.tree = undefined;
    this.notify?.end();
    this.notify = undefined;
    this.#server.keepDurable(this);
    this.#scavenger = setTimeout(() => this.dispose(), durable.timeoutMs);
    this.#scavenger.unref();
    this.caching?.connectionLost();
    return true;
  }

  /** Sends an oplock or lease break over the open's session. Returns false when nobody can be reached. */
  tell(body: Reply): boolean {
    return this.session?.notify(body, this.tree?.encrypted ?? false) ?? false;
  }

  /**
   * A CLOSE has come: no later request finds the open any more, while those in progress go on.
   */
  beginClose(): void {
    this.durable = undefined;
    this.session?.opens.delete(this.volatileId);
  }

  /** A client came back for a preserved open. */
  reconnect(tree: TreeConnect): void {
    clearTimeout(this.#scavenger);
    this.#server.dropDurable(this);
    this.tree = tree;
    this.session = tree.session;
    tree.session.opens.set(this.volatileId, this);
  }

  /** Closes it without a caller who waits: a failure is reported to the hooks. */
  dispose(): void {
    const done = this.close();
    if (done instanceof Promise)
      done.catch((error: unknown) => this.#server.hooks.bug?.(error, 'delete on close'));
  }

  /** Releases everything; the last close of a file that is to be deleted removes it. */
  close(): void | Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.#scavenger);
    this.#server.dropDurable(this);
    if (this.replayKey !== undefined) this.#server.creates.delete(this.replayKey);
    this.#server.opens--;
    this.session?.opens.delete(this.volatileId);
    this.notify?.end();
    this.#releaseCaching();
    const { file } = this;
    file.locks.removeAll(this);
    file.opens.delete(this);
    this.backend?.close();
    if (this.deleteOnClose) {
      // Whoever kept it open for later only can let it go now.
      file.breakHandleCaches(undefined);
      file.deletePending = true;
      this.#server.notifyDeleted(file);
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

  #releaseCaching(): void {
    const { caching } = this;
    this.caching = undefined;
    if (caching instanceof Lease) {
      caching.opens.delete(this);
      if (caching.opens.size > 0) return;
      this.#server.leases.delete(caching.id);
    }
    caching?.drop();
  }

  #remove({ node }: FileState): void | Promise<void> {
    const { changes } = this.share.backend;
    if (!changes) return;
    const call = { caller: this.#server.nobody, signal: this.#server.neverAborted };
    try {
      const isStream = changes.streams?.owner(node) !== undefined;
      const removed = isStream ? changes.streams.remove(node) : changes.remove(node, call);
      if (removed instanceof Promise)
        return removed.catch((error: unknown) => this.#server.reportUnlessExpected(error, 'delete on close'));
    } catch (error) {
      this.#server.reportUnlessExpected(error, 'delete on close');
    }
  }
}

export type AnyOpen = Open | PipeOpen;

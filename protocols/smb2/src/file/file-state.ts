/** What the server keeps about one object while anybody has it open. */
import { Access, LeaseState, ShareAccess } from '../wire/constants.ts';
import type { Node, Volume } from '../share/volume.ts';
import type { CachedFile, CacheHolder, Caching } from './caching.ts';
import { RangeLocks } from './locks.ts';

const READS = Access.READ_DATA | Access.EXECUTE;
const WRITES = Access.WRITE_DATA | Access.APPEND_DATA;
const SHARED_RIGHTS = READS | WRITES | Access.DELETE;

const STAT_RIGHTS = Access.READ_ATTRIBUTES | Access.WRITE_ATTRIBUTES | Access.SYNCHRONIZE;

/** Opens that look at attributes only take part in no share mode and break no oplock. */
export const isStatAccess = (access: number): boolean => (access & ~STAT_RIGHTS) === 0;

/** Leases, unlike oplocks, also put up with a reader of the descriptor. */
export const isLeaseStatAccess = (access: number): boolean =>
  (access & ~(STAT_RIGHTS | Access.READ_CONTROL)) === 0;

const clashes = (access: number, share: number): boolean =>
  ((access & READS) !== 0 && (share & ShareAccess.READ) === 0) ||
  ((access & WRITES) !== 0 && (share & ShareAccess.WRITE) === 0) ||
  ((access & Access.DELETE) !== 0 && (share & ShareAccess.DELETE) === 0);

/** What an open means to the others of the same file. */
export interface OpenView extends CacheHolder {
  readonly grantedAccess: number;
  readonly shareAccess: number;
  readonly session: object | undefined;
  readonly caching: Caching | undefined;
  /** The object is being deleted: change notifications on it end. */
  fileDeleted(): void;
}

/** The share as its files know it. */
export interface FileHome extends Volume {
  readonly files: ReadonlyMap<Node, FileState>;
  /** Forgets a file that nobody has open. */
  release(file: FileState): void;
}

export class FileState implements CachedFile {
  readonly share: FileHome;
  readonly node: Node;
  readonly opens = new Set<OpenView>();
  readonly locks: RangeLocks;
  /** Set by a disposition or by an open with DELETE_ON_CLOSE that was closed. */
  deletePending = false;
  /** A client has changed it since the holders of leases on its directory were told. */
  isNewsToDirectory = false;
  /** Ends the watch that breaks caches; set while there is one. */
  unwatch: (() => void) | undefined;
  #waiting: (() => void)[] = [];

  constructor(share: FileHome, node: Node) {
    this.share = share;
    this.node = node;
    this.locks = new RangeLocks(share.readOnly);
  }

  /** Oplocks and leases on the file, each once. */
  cachings(): Set<Caching> {
    const result = new Set<Caching>();
    for (const open of this.opens) if (open.caching) result.add(open.caching);
    return result;
  }

  /**
   * Whether an open with this access and share mode conflicts with those there are ([MS-FSA] 2.1.5.1.2.2). Where nothing can be
   * written, a share mode binds only the session that asked for it: it would serve nobody but to keep others out.
   */
  sharingConflict(access: number, shareAccess: number, session: object): boolean {
    if ((access & SHARED_RIGHTS) === 0) return false;
    for (const open of this.opens) {
      if (this.share.readOnly && open.session !== session) continue;
      if ((open.grantedAccess & SHARED_RIGHTS) === 0) continue;
      if (clashes(access, open.shareAccess) || clashes(open.grantedAccess, shareAccess)) return true;
    }
    return false;
  }

  /**
   * Takes the read caches of everybody but `open`'s own client away: the content changes. A level II oplock does not
   * even survive a write of its own client.
   */
  breakReadCaches(open: CacheHolder | undefined): void {
    for (const caching of this.cachings()) {
      const isShared = caching.kind === 'oplock' && caching.state === LeaseState.READ;
      if (open && caching.sameAs(open) && !isShared) continue;
      if (caching.state !== LeaseState.NONE) caching.breakTo(LeaseState.NONE);
    }
  }

  /** Takes all caches of a directory away. @param own the lease of whoever made the change, which stays. */
  breakDirectoryLeases(own: string | undefined): void {
    for (const caching of this.cachings())
      if (caching.id === undefined || caching.id !== own) caching.breakTo(LeaseState.NONE);
  }

  /** Takes the handle caches away, for a rename or a delete. Returns whether one has to be waited for. */
  breakHandleCaches(open: CacheHolder | undefined): boolean {
    let wait = false;
    for (const caching of this.cachings()) {
      if (open && caching.sameAs(open)) continue;
      if ((caching.state & LeaseState.HANDLE) !== 0)
        wait = caching.breakTo(caching.state & ~LeaseState.HANDLE) || wait;
    }
    return wait;
  }

  /** Open streams of this file; a file that is to be deleted waits for them. */
  openStreams(): OpenView[] {
    const streams = this.share.backend.changes?.streams;
    if (!streams) return [];
    const result: OpenView[] = [];
    for (const other of this.share.files.values())
      if (other.opens.size > 0 && streams.owner(other.node)?.node === this.node) result.push(...other.opens);
    return result;
  }

  /** After a close: this file, or the file this is a stream of, if it has to be deleted now. */
  deletionDue(): FileState | undefined {
    if (this.opens.size > 0) return undefined;
    if (this.deletePending) return this.openStreams().length === 0 ? this : undefined;
    const owner = this.share.backend.changes?.streams?.owner(this.node);
    const base = owner && this.share.files.get(owner.node);
    return base?.deletePending === true && base.opens.size === 0 ? base.deletionDue() : undefined;
  }

  /** Ends the change notifications of handles on a directory that is about to go. */
  notifyDeleted(): void {
    for (const open of this.opens) open.fileDeleted();
  }

  /** Wakes those who wait for an open, a lock or a cache to go away. */
  changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        resolve();
      };
      signal.addEventListener('abort', wake, { once: true });
      this.#waiting.push(wake);
    });
  }
}

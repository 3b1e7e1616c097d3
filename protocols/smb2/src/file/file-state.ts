/** State of one object while it is open. */
import { Access, LeaseState, ShareAccess } from '../wire/constants.ts';
import type { Node, Volume } from '../share/volume.ts';
import type { CachedFile, CacheHolder, Caching } from './caching.ts';
import { RangeLocks } from './locks.ts';

const READS = Access.READ_DATA | Access.EXECUTE;
const WRITES = Access.WRITE_DATA | Access.APPEND_DATA;
const SHARED_RIGHTS = READS | WRITES | Access.DELETE;

const STAT_RIGHTS = Access.READ_ATTRIBUTES | Access.WRITE_ATTRIBUTES | Access.SYNCHRONIZE;

/** Opens for attributes only do not take part in share modes and break no oplock. */
export const isStatAccess = (access: number): boolean => (access & ~STAT_RIGHTS) === 0;

/** Leases, unlike oplocks, also allow reading the security descriptor. */
export const isLeaseStatAccess = (access: number): boolean =>
  (access & ~(STAT_RIGHTS | Access.READ_CONTROL)) === 0;

const clashes = (access: number, share: number): boolean =>
  ((access & READS) !== 0 && (share & ShareAccess.READ) === 0) ||
  ((access & WRITES) !== 0 && (share & ShareAccess.WRITE) === 0) ||
  ((access & Access.DELETE) !== 0 && (share & ShareAccess.DELETE) === 0);

/** What other opens of the same file need to know about an open. */
export interface OpenView extends CacheHolder {
  readonly grantedAccess: number;
  readonly shareAccess: number;
  readonly session: object | undefined;
  readonly caching: Caching | undefined;
  /** The object is being deleted: ends change notifications on it. */
  fileDeleted(): void;
}

/** The share, as its files see it. */
export interface FileHome extends Volume {
  readonly files: ReadonlyMap<Node, FileState>;
  /** Forgets a file that is not open any more. */
  release(file: FileState): void;
}

export class FileState implements CachedFile {
  readonly share: FileHome;
  readonly node: Node;
  readonly opens = new Set<OpenView>();
  readonly locks: RangeLocks;
  /** Set by a disposition, or when an open with DELETE_ON_CLOSE is closed. */
  deletePending = false;
  /** Whether a client has changed it since leases on its directory were last broken. */
  isNewsToDirectory = false;
  /** Ends the watch that breaks caches. Set while there is a watch. */
  unwatch: (() => void) | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(share: FileHome, node: Node) {
    this.share = share;
    this.node = node;
    this.locks = new RangeLocks(share.readOnly);
  }

  /** The oplocks and leases on the file, without duplicates. */
  cachings(): Set<Caching> {
    const result = new Set<Caching>();
    for (const open of this.opens) if (open.caching) result.add(open.caching);
    return result;
  }

  /**
   * Whether an open with this access and share mode conflicts with the present opens ([MS-FSA] 2.1.5.1.2.2). On a
   * read-only share, a share mode applies only within its own session: there it protects nothing and would only lock
   * other clients out.
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
   * Breaks all read caches except those of `open` itself, because the content changes. A level II oplock is broken even
   * by a write of its own client.
   */
  breakReadCaches(open: CacheHolder | undefined): void {
    for (const caching of this.cachings()) {
      const isShared = caching.kind === 'oplock' && caching.state === LeaseState.READ;
      if (open && caching.sameAs(open) && !isShared) continue;
      if (caching.state !== LeaseState.NONE) caching.breakTo(LeaseState.NONE);
    }
  }

  /** Breaks all caches of a directory. @param own lease of the client that made the change; it is kept. */
  breakDirectoryLeases(own: string | undefined): void {
    for (const caching of this.cachings())
      if (caching.id === undefined || caching.id !== own) caching.breakTo(LeaseState.NONE);
  }

  /** Breaks the handle caches, for a rename or a delete. Returns whether an acknowledgement is outstanding. */
  breakHandleCaches(open: CacheHolder | undefined): boolean {
    let wait = false;
    for (const caching of this.cachings()) {
      if (open && caching.sameAs(open)) continue;
      if ((caching.state & LeaseState.HANDLE) !== 0)
        wait = caching.breakTo(caching.state & ~LeaseState.HANDLE) || wait;
    }
    return wait;
  }

  /** Open streams of this file. A delete of the file waits for them. */
  openStreams(): OpenView[] {
    const streams = this.share.backend.changes?.streams;
    if (!streams) return [];
    const result: OpenView[] = [];
    for (const other of this.share.files.values())
      if (other.opens.size > 0 && streams.owner(other.node)?.node === this.node) result.push(...other.opens);
    return result;
  }

  /** Called after a close. Returns the file to delete now, if any: this one, or the file that this stream belongs to. */
  deletionDue(): FileState | undefined {
    if (this.opens.size > 0) return undefined;
    if (this.deletePending) return this.openStreams().length === 0 ? this : undefined;
    const owner = this.share.backend.changes?.streams?.owner(this.node);
    const base = owner && this.share.files.get(owner.node);
    return base?.deletePending === true && base.opens.size === 0 ? base.deletionDue() : undefined;
  }

  /** Ends the change notifications on a directory that is being deleted. */
  notifyDeleted(): void {
    for (const open of this.opens) open.fileDeleted();
  }

  /** Wakes requests that wait until an open, a lock or a cache is gone. */
  changed(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      signal.addEventListener('abort', wake, { once: true });
      this.#waiting.add(wake);
    });
  }
}

/** What the server keeps about one object while anybody has it open. */
import { Access, LeaseState, ShareAccess } from '../wire/constants.ts';
import type { Caching } from './caching.ts';
import { RangeLocks } from './locks.ts';
import type { Node } from './share.ts';
import type { Share } from './share.ts';
import type { Open } from './open.ts';

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

export class FileState {
  readonly share: Share;
  readonly node: Node;
  readonly opens = new Set<Open>();
  readonly locks = new RangeLocks();
  /** Set by a disposition or by an open with DELETE_ON_CLOSE that was closed. */
  deletePending = false;
  /** Ends the watch that breaks caches; set while there is one. */
  unwatch: (() => void) | undefined;
  #waiting: (() => void)[] = [];

  constructor(share: Share, node: Node) {
    this.share = share;
    this.node = node;
  }

  /** Oplocks and leases on the file, each once. */
  cachings(): Set<Caching> {
    const result = new Set<Caching>();
    for (const open of this.opens) if (open.caching) result.add(open.caching);
    return result;
  }

  /** Whether an open with this access and share mode conflicts with those there are ([MS-FSA] 2.1.5.1.2.2). */
  sharingConflict(access: number, shareAccess: number): boolean {
    if ((access & SHARED_RIGHTS) === 0) return false;
    for (const open of this.opens) {
      if ((open.grantedAccess & SHARED_RIGHTS) === 0) continue;
      if (clashes(access, open.shareAccess) || clashes(open.grantedAccess, shareAccess)) return true;
    }
    return false;
  }

  /**
   * Takes the read caches of everybody but `open`'s own client away: the content changes. A level II oplock does not
   * even survive a write of its own client.
   */
  breakReadCaches(open: Open | undefined): void {
    for (const caching of this.cachings()) {
      const isShared = caching.kind === 'oplock' && caching.state === LeaseState.READ;
      if (open && caching.sameAs(open) && !isShared) continue;
      if (caching.state !== LeaseState.NONE) caching.breakTo(LeaseState.NONE);
    }
  }

  /** Takes the handle caches away, for a rename or a delete. Returns whether one has to be waited for. */
  breakHandleCaches(open: Open | undefined): boolean {
    let wait = false;
    for (const caching of this.cachings()) {
      if (open && caching.sameAs(open)) continue;
      if ((caching.state & LeaseState.HANDLE) !== 0)
        wait = caching.breakTo(caching.state & ~LeaseState.HANDLE) || wait;
    }
    return wait;
  }

  /** Open streams of this file; a file that is to be deleted waits for them. */
  openStreams(): Open[] {
    const streams = this.share.backend.changes?.streams;
    if (!streams) return [];
    const result: Open[] = [];
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

import type { UserStore } from '../auth/index.ts';
import type { Caller } from '../backend.ts';
import { StatusError } from '../errors.ts';
import type { Hooks } from '../hooks.ts';
import type { Limits } from '../limits.ts';
import { BufferPool } from './buffer-pool.ts';
import type { Connection } from './connection.ts';
import type { FileState } from './file-state.ts';
import type { Lease } from './lease.ts';
import { LogonThrottle } from './logon-throttle.ts';
import type { Open } from './open.ts';
import { PersistentIds } from './persistent-id.ts';
import { newRandomId, randomId64 } from './random-id.ts';
import type { Session } from './session.ts';
import { Share } from './share.ts';
import type { Node, ShareOptions } from './share.ts';
import { SuspendedScans } from './suspended-scans.ts';
import type { ScanStore } from './suspended-scans.ts';

export type Policy = 'required' | 'auto' | 'off';

export interface ServerSettings {
  /** 16 bytes. */
  readonly serverGuid: Buffer;
  readonly serverName: string;
  readonly domain: string;
  readonly comment: string;
  readonly signing: Policy;
  readonly encryption: Policy;
  /** 32 bytes; without it durable handles do not outlive the process. */
  readonly durableKey: Buffer;
  readonly dialects: readonly number[];
  /** Where unfinished directory scans are kept for the next process. */
  readonly scanStore: ScanStore | undefined;
}

/** What all connections share ([MS-SMB2] 3.3.1.5). */
export class ServerState {
  readonly settings: ServerSettings;
  readonly limits: Limits;
  readonly hooks: Hooks;
  readonly startTime = Date.now();
  readonly pool: BufferPool;
  readonly throttle: LogonThrottle;
  readonly scans: SuspendedScans;
  users: UserStore;
  readonly connections = new Set<Connection>();
  readonly sessions = new Map<number, Session>();
  readonly leases = new Map<string, Lease>();
  /** CREATEs that can be replayed, by client and CreateGuid; `pending` until they have an open. */
  readonly creates = new Map<string, Open | 'pending'>();
  /** Opens of everybody, preserved ones included. */
  opens = 0;
  readonly nobody: Caller = { userName: '', guest: true, address: '' };
  readonly neverAborted: AbortSignal = new AbortController().signal;
  #shares = new Map<string, Share>();
  readonly #durables = new Map<bigint, Set<Open>>();
  readonly #persistentIds = new Map<string, PersistentIds>();

  constructor(settings: ServerSettings, limits: Limits, hooks: Hooks, users: UserStore) {
    this.settings = settings;
    this.limits = limits;
    this.hooks = hooks;
    this.users = users;
    this.pool = new BufferPool(limits.maxPooledBytes);
    this.throttle = new LogonThrottle(limits);
    this.scans = new SuspendedScans(settings.scanStore, {
      most: limits.maxSuspendedScans,
      keepMs: limits.suspendedScanMs,
    });
  }

  get shares(): readonly Share[] {
    return [...this.#shares.values()];
  }

  share(name: string): Share | undefined {
    return this.#shares.get(name.toLowerCase());
  }

  get allowsGuests(): boolean {
    return this.shares.some((share) => share.options.guest);
  }

  /** Shares whose backend stays keep their opens; sessions lose their tree connects to the others. */
  setShares(options: readonly ShareOptions[]): void {
    const next = new Map<string, Share>();
    for (const option of options) {
      const name = option.name.toLowerCase();
      const known = this.#shares.get(name);
      if (known?.backend === option.backend) {
        known.options = option;
        next.set(name, known);
      } else next.set(name, new Share(option));
    }
    const gone = this.shares.filter((share) => next.get(share.name.toLowerCase()) !== share);
    this.#shares = next;
    for (const session of this.sessions.values())
      for (const tree of [...session.trees.values()])
        if (tree.share && gone.includes(tree.share)) session.disconnectTree(tree);
  }

  persistentIds(share: Share): PersistentIds {
    let ids = this.#persistentIds.get(share.name);
    if (!ids) {
      ids = new PersistentIds(this.settings.durableKey, share.name);
      this.#persistentIds.set(share.name, ids);
    }
    return ids;
  }

  /** A read-only share's is a function of the node; elsewhere state is attached to it, so it is random. */
  newPersistentId(share: Share, node: Node, nodeId: bigint): bigint {
    if (!share.readOnly) return randomId64(this.#durables);
    const known = share.persistentIds.get(node);
    if (known !== undefined) return known;
    const id = this.persistentIds(share).encode(nodeId);
    share.persistentIds.set(node, id);
    return id;
  }

  newSessionId(): number {
    return newRandomId(this.sessions);
  }

  keepDurable(open: Open): void {
    const { persistent } = open.fileId;
    const set = this.#durables.get(persistent) ?? new Set();
    this.#durables.set(persistent, set.add(open));
  }

  dropDurable(open: Open): void {
    const set = this.#durables.get(open.fileId.persistent);
    if (set?.delete(open) === true && set.size === 0) this.#durables.delete(open.fileId.persistent);
  }

  /** Opens that wait for their client to come back. */
  durables(persistent: bigint): readonly Open[] {
    return [...(this.#durables.get(persistent) ?? [])];
  }

  *allDurables(): Generator<Open> {
    for (const set of this.#durables.values()) yield* set;
  }

  /** Ends the change notifications of handles on a directory that is about to go. */
  notifyDeleted(file: FileState): void {
    for (const open of file.opens) open.notify?.deleted();
  }

  reportUnlessExpected(error: unknown, context: string): void {
    if (!(error instanceof StatusError)) this.hooks.bug?.(error, context);
  }
}

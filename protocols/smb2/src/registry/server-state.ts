/** The tables that all connections share ([MS-SMB2] 3.3.1.5). Sessions, opens and connections report here when they end. */
import type { UserStore } from '../auth/index.ts';
import type { Connection, ConnectionOwner } from '../connection/connection.ts';
import type { Setup } from '../connection/setup.ts';
import type { ServerContext } from '../context/context.ts';
import { newRandomId, randomId64 } from '../context/random-id.ts';
import { StatusError } from '../errors.ts';
import type { Lease, LeaseTable } from '../file/lease.ts';
import { Share } from '../file/share.ts';
import type { AnyOpen } from '../open/any-open.ts';
import type { Open, OpenRegistry } from '../open/open.ts';
import type { Session, SessionRegistry } from '../session/session.ts';
import { PersistentIds } from '../share/persistent-id.ts';
import { allowsAddress } from '../share/volume.ts';
import type { Node, ShareOptions, Volume } from '../share/volume.ts';
import { Status } from '../wire/status.ts';
import { LogonThrottle } from './logon-throttle.ts';
import { OpenCount } from './open-count.ts';
import { SuspendedScans } from './suspended-scans.ts';
import type { ScanStore } from './suspended-scans.ts';

export interface ServerStateOptions {
  readonly users: UserStore;
  readonly scanStore: ScanStore | undefined;
  /** Handles every received message. */
  readonly receive: (connection: Connection, message: Buffer, server: ServerState) => void;
}

export class ServerState implements ConnectionOwner, SessionRegistry, OpenRegistry {
  readonly context: ServerContext;
  readonly throttle: LogonThrottle;
  readonly scans: SuspendedScans;
  users: UserStore;
  readonly connections = new Set<Connection>();
  readonly sessions = new Map<number, Session>();
  readonly leases: LeaseTable = new Map();
  /** CREATEs that can be replayed, by client and CreateGuid. `pending` until they have an open. */
  readonly creates = new Map<string, Open | 'pending'>();
  /** Opens of all clients, including preserved ones. */
  readonly opens: OpenCount;
  /** Running authentications, oldest first. */
  readonly #setups = new Map<Setup, { readonly connection: Connection; readonly sessionId: number }>();
  readonly #receive: ServerStateOptions['receive'];
  #shares = new Map<string, Share>();
  readonly #durables = new Map<bigint, Set<Open>>();
  readonly #persistentIds = new Map<string, PersistentIds>();

  constructor(context: ServerContext, { users, scanStore, receive }: ServerStateOptions) {
    const { limits } = context;
    this.context = context;
    this.users = users;
    this.#receive = receive;
    this.throttle = new LogonThrottle(limits);
    this.opens = new OpenCount(limits);
    this.scans = new SuspendedScans(scanStore, {
      most: limits.maxSuspendedScans,
      keepMs: limits.suspendedScanMs,
    });
  }

  received(connection: Connection, message: Buffer): void {
    this.#receive(connection, message, this);
  }

  suspendScans(connection: Connection): void {
    this.scans.suspend(connection);
  }

  /** @throws StatusError when the connection has too many running authentications. */
  checkSetups({ setups }: Connection): void {
    if (setups.size >= this.context.limits.maxSetupsPerConnection)
      throw new StatusError(Status.INSUFFICIENT_RESOURCES);
  }

  /** Registers an authentication. When there are too many, the oldest one is dropped. */
  setupBegun(connection: Connection, sessionId: number, setup: Setup): void {
    this.#setups.set(setup, { connection, sessionId });
    if (this.#setups.size <= this.context.limits.maxSetups) return;
    const [oldest] = this.#setups.values();
    oldest?.connection.dropSetup(oldest.sessionId);
  }

  setupEnded(setup: Setup): void {
    this.#setups.delete(setup);
  }

  connectionClosed(connection: Connection): void {
    this.connections.delete(connection);
  }

  sessionClosed({ id }: Session): void {
    this.sessions.delete(id);
  }

  newSessionId(): number {
    return newRandomId(this.sessions);
  }

  get shares(): readonly Share[] {
    return [...this.#shares.values()];
  }

  share(name: string): Share | undefined {
    return this.#shares.get(name.toLowerCase());
  }

  /** Whether any share allows clients at this address. */
  allows(address: string): boolean {
    return this.shares.some(({ options }) => allowsAddress(options, address));
  }

  get allowsGuests(): boolean {
    return this.shares.some((share) => share.options.guest);
  }

  /** Shares with the same backend as before keep their opens. Sessions lose their tree connects to removed shares. */
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

  persistentIds(share: Volume): PersistentIds {
    let ids = this.#persistentIds.get(share.name);
    if (!ids) {
      ids = new PersistentIds(this.context.settings.durableKey, share.name);
      this.#persistentIds.set(share.name, ids);
    }
    return ids;
  }

  /** On a read-only share the id is derived from the node. On others an open has state, so its id is random. */
  newPersistentId(share: Volume, node: Node, nodeId: bigint): bigint {
    if (!share.readOnly) return randomId64(this.#durables);
    const known = share.persistentIds.get(node);
    if (known !== undefined) return known;
    const id = this.persistentIds(share).encode(nodeId);
    share.persistentIds.set(node, id);
    return id;
  }

  /** @throws StatusError when the session, its client's address or the server has too many opens. */
  checkOpens(session: Session, address: string): void {
    const isFull = session.opens.size >= this.context.limits.maxOpensPerSession || this.opens.isFull(address);
    if (isFull) throw new StatusError(Status.INSUFFICIENT_RESOURCES);
  }

  opened(session: Session, address: string, open: AnyOpen): void {
    this.opens.add(open, address);
    session.opens.set(open.volatileId, open);
  }

  pipeClosed(open: AnyOpen): void {
    this.opens.delete(open);
  }

  closed(open: Open): void {
    this.opens.delete(open);
    this.reconnected(open);
    if (open.replayKey !== undefined) this.creates.delete(open.replayKey);
  }

  preserved(open: Open): void {
    const { persistent } = open.fileId;
    const set = this.#durables.get(persistent) ?? new Set();
    this.#durables.set(persistent, set.add(open));
  }

  reconnected(open: Open): void {
    const { persistent } = open.fileId;
    const set = this.#durables.get(persistent);
    if (set?.delete(open) === true && set.size === 0) this.#durables.delete(persistent);
  }

  leaseEnded({ id }: Lease): void {
    this.leases.delete(id);
  }

  /** Opens that wait for their client to reconnect. */
  durables(persistent: bigint): readonly Open[] {
    return [...(this.#durables.get(persistent) ?? [])];
  }

  *allDurables(): Generator<Open> {
    for (const set of this.#durables.values()) yield* set;
  }
}

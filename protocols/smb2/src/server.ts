import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { ntHash, UserStore } from './auth/index.ts';
import { mayConnect } from './session/membership.ts';
import type { Hooks, SessionEvent } from './hooks.ts';
import { defaultLimits } from './limits.ts';
import type { Limits } from './limits.ts';
import { receive } from './pipeline.ts';
import { addressOf } from './transport/transport.ts';
import { Connection } from './connection/connection.ts';
import { ServerContext } from './context/context.ts';
import type { NetworkInterface, Policy } from './context/settings.ts';
import { drain } from './drain/drain.ts';
import { ServerState } from './registry/server-state.ts';
import type { ScanStore } from './registry/suspended-scans.ts';
import type { ShareOptions } from './share/volume.ts';
import { Dialect } from './wire/constants.ts';

/** A user with a password or with an NT hash (16 bytes: MD4 of the password in UTF-16LE). */
export type UserOptions =
  { readonly name: string; readonly password: string } | { readonly name: string; readonly ntHash: Buffer };

export interface SmbServerOptions {
  /** 16 bytes that never change for the same server. */
  readonly serverGuid: Buffer;
  /** NetBIOS name, up to 15 characters. */
  readonly serverName: string;
  /** Default: `WORKGROUP`. */
  readonly domain?: string;
  readonly comment?: string;
  readonly shares: readonly ShareOptions[];
  readonly users?: readonly UserOptions[];
  /** Whether named users must sign. `auto`: when the client asks for it. Guests never sign. */
  readonly signing?: Policy;
  /** `auto`: when the client or the share asks for it. `required` refuses guests and clients that cannot encrypt. */
  readonly encryption?: Policy;
  /** 32 bytes. A later process with the same key accepts the durable handles of this one on read-only shares. */
  readonly durableKey?: Buffer;
  /**
   * Keeps the directory scans that are unfinished when the server closes, for the next process. Without it the client
   * of such a scan gets an error.
   */
  readonly scanStore?: ScanStore;
  /** Addresses at which clients reach the server. With them, clients may use several connections per session (multichannel). */
  readonly interfaces?: () => readonly NetworkInterface[];
  /** Default: all five. */
  readonly dialects?: readonly Dialect[];
  readonly hooks?: Hooks;
  readonly limits?: Partial<Limits>;
}

/** A session, for status pages. */
export interface SessionSummary extends SessionEvent {
  /** Names of the shares that it is connected to. */
  readonly shares: readonly string[];
  readonly opens: number;
  readonly connections: number;
}

/** Idle time before TCP keepalive probes, in ms. */
const KEEP_ALIVE_MS = 30_000;
/** How often connections are checked for timeouts, in ms. */
const SWEEP_MS = 250;

/** An SMB2/3 server. Shares and users can change while it runs. */
export class SmbServer {
  readonly #context: ServerContext;
  readonly #state: ServerState;
  readonly #listeners: Server[] = [];
  readonly #perAddress = new Map<string, number>();
  #sweep: NodeJS.Timeout | undefined;

  /** @throws RangeError for a GUID, key or hash of the wrong length, and for duplicate users. */
  constructor(options: SmbServerOptions) {
    const durableKey = options.durableKey ?? randomBytes(32);
    if (options.serverGuid.length !== 16) throw new RangeError('serverGuid must have 16 bytes');
    if (durableKey.length !== 32) throw new RangeError('durableKey must have 32 bytes');
    this.#context = new ServerContext(
      {
        serverGuid: options.serverGuid,
        serverName: options.serverName,
        domain: options.domain ?? 'WORKGROUP',
        comment: options.comment ?? '',
        signing: options.signing ?? 'auto',
        encryption: options.encryption ?? 'auto',
        durableKey,
        interfaces: options.interfaces,
        dialects: options.dialects ?? [
          Dialect.SMB_2_0_2,
          Dialect.SMB_2_1,
          Dialect.SMB_3_0,
          Dialect.SMB_3_0_2,
          Dialect.SMB_3_1_1,
        ],
      },
      { ...defaultLimits, ...options.limits },
      options.hooks ?? {},
    );
    this.#state = new ServerState(this.#context, {
      users: userStore(options.users ?? []),
      scanStore: options.scanStore,
      receive,
    });
    this.#state.setShares(options.shares);
  }

  /**
   * Starts to accept connections. May be called for several addresses.
   * @returns the address; for port 0, with the port that the system chose.
   */
  async listen(at: { readonly host: string; readonly port: number }): Promise<AddressInfo> {
    const listener = createServer();
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(at.port, at.host, () => {
        listener.removeListener('error', reject);
        resolve();
      });
    });
    return this.attach(listener);
  }

  /** Accepts connections on a server that already listens, for example one handed over by a predecessor. */
  attach(listener: Server): AddressInfo {
    listener.on('connection', (socket) => this.#accept(socket));
    listener.on('error', (error) => this.#context.hooks.bug?.(error, 'listening'));
    this.#listeners.push(listener);
    this.#sweep ??= setInterval(() => this.#checkConnections(), SWEEP_MS).unref();
    return listener.address() as AddressInfo;
  }

  #accept(socket: Socket): void {
    const { limits, hooks } = this.#context;
    const { connections } = this.#state;
    const address = socket.remoteAddress ?? '';
    const count = this.#perAddress.get(address) ?? 0;
    const isFull = connections.size >= limits.maxConnections || count >= limits.maxConnectionsPerAddress;
    const isRefusedAddress = !this.#state.allows(addressOf(socket));
    if (isFull || isRefusedAddress) {
      const reason = isRefusedAddress ? 'no share for this address' : 'too many connections';
      hooks.connectionRefused?.({ address: addressOf(socket), port: socket.remotePort ?? 0, reason });
      socket.destroy();
      return;
    }
    this.#perAddress.set(address, count + 1);
    socket.once('close', () => {
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#perAddress.set(address, left);
      else this.#perAddress.delete(address);
    });
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const connection = new Connection(this.#context, socket, this.#state);
    connections.add(connection);
    hooks.connected?.({ address: connection.address, port: connection.port });
  }

  #checkConnections(): void {
    const now = performance.now();
    for (const connection of this.#state.connections) {
      connection.sendInterims(now - this.#context.limits.interimAfterMs);
      connection.checkDeadlines(now);
    }
  }

  /**
   * Replaces shares and users. Shares with the same backend object keep their opens. Tree connects to other shares end,
   * and so do those that the new rules do not allow. Sessions of removed users continue until they end.
   */
  reload(options: {
    readonly shares?: readonly ShareOptions[];
    readonly users?: readonly UserOptions[];
  }): void {
    if (options.users) this.#state.users = userStore(options.users);
    if (!options.shares) return;
    this.#state.setShares(options.shares);
    for (const session of this.#state.sessions.values())
      for (const tree of [...session.trees.values()])
        if (tree.share && !mayConnect(session, tree.share)) session.disconnectTree(tree);
  }

  /** Current numbers, for status pages. */
  get statistics(): {
    readonly connections: number;
    readonly sessions: number;
    readonly opens: number;
    readonly leases: number;
  } {
    const { connections, sessions, opens, leases } = this.#state;
    return {
      connections: connections.size,
      sessions: sessions.size,
      opens: opens.size,
      leases: leases.size,
    };
  }

  /** The sessions that are logged on, oldest first, at most `most`. */
  sessions(most: number): SessionSummary[] {
    const found: SessionSummary[] = [];
    for (const session of this.#state.sessions.values()) {
      if (found.length >= most) break;
      if (session.state !== 'valid') continue;
      const shares = [...session.trees.values()].flatMap(({ share }) => (share ? [share.name] : []));
      found.push({
        ...session.event(),
        shares: [...new Set(shares)],
        opens: session.opens.size,
        connections: session.channels.length,
      });
    }
    return found;
  }

  /** Ends a session and closes its opens. Its client may log on again. Returns false when there is no such session. */
  endSession(sessionId: number): boolean {
    const session = this.#state.sessions.get(sessionId);
    session?.close(false);
    return session !== undefined;
  }

  /**
   * Stops accepting, drains each connection, and sends FIN at a moment when the client has no request on the way.
   * Unfinished directory scans go to the store. Cuts the remaining connections after `timeoutMs`.
   */
  async close({ timeoutMs = 10_000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    const stopped = this.#listeners.map(
      (listener) => new Promise<void>((resolve) => listener.close(() => resolve())),
    );
    const deadline = performance.now() + timeoutMs;
    const { connections, scans } = this.#state;
    // Clients that are already disconnected will reconnect to the next process.
    const given = scans.flush();
    const { limits, hooks } = this.#context;
    const terms = { deadline, limits, hooks, keepScans: () => scans.flush() };
    await Promise.all([given, ...[...connections].map((connection) => drain(connection, terms))]);
    clearInterval(this.#sweep);
    for (const open of [...this.#state.allDurables()]) open.dispose();
    await Promise.all(stopped);
  }
}

function userStore(users: readonly UserOptions[]): UserStore {
  const store = new UserStore();
  for (const user of users) store.add(user.name, 'ntHash' in user ? user.ntHash : ntHash(user.password));
  return store;
}

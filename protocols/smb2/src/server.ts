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

/** A user by password, or by its NT hash (16 bytes: MD4 of the password in UTF-16LE). */
export type UserOptions =
  { readonly name: string; readonly password: string } | { readonly name: string; readonly ntHash: Buffer };

export interface SmbServerOptions {
  /** 16 bytes; the same for ever for the same server. */
  readonly serverGuid: Buffer;
  /** NetBIOS name, up to 15 characters. */
  readonly serverName: string;
  /** `WORKGROUP` unless given. */
  readonly domain?: string;
  readonly comment?: string;
  readonly shares: readonly ShareOptions[];
  readonly users?: readonly UserOptions[];
  /** Whether messages of named users have to be signed. `auto`: when the client wants it. Guests never sign. */
  readonly signing?: Policy;
  /** `auto`: when the client or the share wants it. `required` refuses clients that cannot, and guests. */
  readonly encryption?: Policy;
  /**
   * 32 bytes. With the same key a later process honours the durable handles that this one gave out on read-only shares.
   */
  readonly durableKey?: Buffer;
  /**
   * Where directory scans that are not finished when the server closes are kept for the process that serves next. Without
   * it such a scan ends with an error at its client.
   */
  readonly scanStore?: ScanStore;
  /** The addresses under which it is reached. With them clients may use several connections for a session (multichannel). */
  readonly interfaces?: () => readonly NetworkInterface[];
  /** All five unless given. */
  readonly dialects?: readonly Dialect[];
  readonly hooks?: Hooks;
  readonly limits?: Partial<Limits>;
}

/** A session, for status pages. */
export interface SessionSummary extends SessionEvent {
  /** Those it is connected to. */
  readonly shares: readonly string[];
  readonly opens: number;
  readonly connections: number;
}

/** Silence after which TCP asks whether the client is still there. */
const KEEP_ALIVE_MS = 30_000;
/** How often connections are looked over for what takes too long. */
const SWEEP_MS = 250;

/** An SMB2/3 server. Shares and users can change while it runs. */
export class SmbServer {
  readonly #context: ServerContext;
  readonly #state: ServerState;
  readonly #listeners: Server[] = [];
  readonly #perAddress = new Map<string, number>();
  #sweep: NodeJS.Timeout | undefined;

  /** @throws RangeError for a GUID, key or hash of the wrong length, and for users that are there twice. */
  constructor(options: SmbServerOptions) {
    const durableKey = options.durableKey ?? randomBytes(32);
    if (options.serverGuid.length !== 16) throw new RangeError('serverGuid has 16 bytes');
    if (durableKey.length !== 32) throw new RangeError('durableKey has 32 bytes');
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
   * Begins to accept connections; may be called for several addresses.
   * @returns the address, with the port the system chose for port 0.
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

  /** Takes the connections of a server that listens already, such as one handed over by a predecessor. */
  attach(listener: Server): AddressInfo {
    listener.on('connection', (socket) => this.#accept(socket));
    listener.on('error', (error) => this.#context.hooks.bug?.(error, 'listening'));
    this.#listeners.push(listener);
    this.#sweep ??= setInterval(() => this.#lookOver(), SWEEP_MS).unref();
    return listener.address() as AddressInfo;
  }

  #accept(socket: Socket): void {
    const { limits, hooks } = this.#context;
    const { connections } = this.#state;
    const address = socket.remoteAddress ?? '';
    const count = this.#perAddress.get(address) ?? 0;
    const isFull = connections.size >= limits.maxConnections || count >= limits.maxConnectionsPerAddress;
    const isForNobody = !this.#state.allows(addressOf(socket));
    if (isFull || isForNobody) {
      const reason = isForNobody ? 'no share for this address' : 'too many connections';
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

  #lookOver(): void {
    const now = performance.now();
    for (const connection of this.#state.connections) {
      connection.sendInterims(now - this.#context.limits.interimAfterMs);
      connection.checkDeadlines(now);
    }
  }

  /**
   * Replaces shares and users. Shares whose backend is the same object keep their opens; tree connects to others end, and
   * those of clients that could not make them any more. Sessions of users that are gone go on until they end.
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

  /** For status pages: counts of what is open now. */
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

  /** Sessions whose user is authenticated, the oldest first, at most `most` of them. */
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

  /** Ends a session with all that is open in it; its client may log on again. False when there is none. */
  endSession(sessionId: number): boolean {
    const session = this.#state.sessions.get(sessionId);
    session?.close(false);
    return session !== undefined;
  }

  /**
   * Stops accepting, finishes every request in progress, sends what is queued, then FIN, at a moment at which each client
   * has nothing on its way. Directory scans that are not finished go to the store. What is not finished after `timeoutMs`
   * is cut off.
   */
  async close({ timeoutMs = 10_000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    const stopped = this.#listeners.map(
      (listener) => new Promise<void>((resolve) => listener.close(() => resolve())),
    );
    const deadline = performance.now() + timeoutMs;
    const { connections, scans } = this.#state;
    // Clients that are away already come back to the next process.
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

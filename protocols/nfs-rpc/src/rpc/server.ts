import { createServer, type AddressInfo, type ListenOptions, type Server, type Socket } from 'node:net';

import type { CloseReason, RpcHooks } from '../hooks.ts';
import { defaultLimits, type RpcLimits } from '../limits.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import type { Peer } from './context.ts';
import { plainAddress } from './plain-address.ts';
import { SlabPool } from './pool.ts';
import { ProgramTable, type RpcProgram } from './program.ts';
import { DatagramListener, type DatagramOptions } from './udp.ts';

export interface RpcServerOptions {
  readonly hooks?: RpcHooks;
  readonly limits?: Partial<RpcLimits>;
}

/** Options of `net.Server.listen`, or the descriptor of a listening socket. */
export type TcpListenOptions = ListenOptions & { readonly fd?: number };

/** Serves any number of RPC programs on any number of TCP and UDP listeners. */
export class RpcServer {
  readonly #limits: RpcLimits;
  readonly #hooks: RpcHooks;
  readonly #table = new ProgramTable();
  readonly #listeners = new Set<Server>();
  readonly #datagrams = new Set<DatagramListener>();
  readonly #connections = new Set<Connection>();
  readonly #perAddress = new Map<string, number>();
  readonly #host: ConnectionHost;
  readonly #sweeper: NodeJS.Timeout;
  /** Connections that have sent no call yet, oldest first. */
  readonly #silent = new Set<Connection>();
  /** Connections that wait for memory. */
  #starved = new Set<Connection>();
  /** Runs while connections are starved. */
  #givingWay: NodeJS.Timeout | undefined;
  #waking = false;
  #closing = false;
  #whenEmpty: (() => void) | undefined;

  constructor(options: RpcServerOptions = {}) {
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#hooks = options.hooks ?? {};
    this.#host = {
      limits: this.#limits,
      hooks: this.#hooks,
      pool: new SlabPool(this.#limits.maxPooledBytes),
      table: this.#table,
      totals: { requestBytes: 0, replyBytes: 0, slowReplyBytes: 0 },
      spoke: (connection) => this.#silent.delete(connection),
      closed: (connection, reason) => this.#closed(connection, reason),
      starved: (connection) => this.#starve(connection),
      memoryFreed: () => this.#memoryFreed(),
    };
    const { recordTimeoutMs, stalledWriteMs } = this.#limits;
    const period = Math.max(10, Math.min(5_000, recordTimeoutMs / 4, stalledWriteMs / 4));
    this.#sweeper = setInterval(() => this.#sweep(), period);
    this.#sweeper.unref();
  }

  /** @throws Error when the program number is already served. */
  add(program: RpcProgram): this {
    this.#table.add(program);
    return this;
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Closes all connections of an address. Its client may connect again. Returns the number of connections. */
  disconnect(address: string): number {
    const concerned = [...this.#connections].filter(({ peer }) => peer.address === address);
    for (const connection of concerned) connection.destroy('server closed');
    return concerned.length;
  }

  /** Starts to listen. Resolves with the address. Rejects with the system's error. */
  async listenTcp(options: TcpListenOptions): Promise<AddressInfo> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(options, () => {
        listener.off('error', reject);
        resolve();
      });
    });
    return this.attach(listener);
  }

  /** Accepts connections on a server that already listens, for example one handed over by a predecessor. */
  attach(listener: Server): AddressInfo {
    this.#listeners.add(listener);
    listener.on('connection', (socket) => this.#accept(socket));
    listener.on('error', (error) => this.#hooks.bug?.(error, 'listener'));
    return listener.address() as AddressInfo;
  }

  /**
   * Serves the listed programs over UDP, as far as they allow it. Replies have up to 8,800 bytes. Rejects with the
   * system's error.
   */
  async listenUdp(options: DatagramOptions): Promise<AddressInfo> {
    const listener = new DatagramListener(this.#host, options);
    const address = await listener.listen();
    this.#datagrams.add(listener);
    return address;
  }

  /** Stops accepting. Existing connections continue. */
  stopListening(): void {
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
    for (const listener of this.#datagrams) listener.close();
    this.#datagrams.clear();
  }

  /**
   * Stops accepting and reading, finishes every call that was read, flushes, sends FIN and waits for the FIN of the
   * peers. Cuts the remaining connections after `timeoutMs` (default 10 s).
   */
  async close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing = true;
    this.stopListening();
    for (const connection of this.#connections) connection.drain();
    if (this.#connections.size > 0) {
      const empty = new Promise<void>((resolve) => (this.#whenEmpty = resolve));
      const timer = setTimeout(() => {
        for (const connection of this.#connections) connection.destroy('server closed');
      }, options.timeoutMs ?? 10_000);
      await empty;
      clearTimeout(timer);
    }
    clearInterval(this.#sweeper);
    clearTimeout(this.#givingWay);
  }

  #accept(socket: Socket): void {
    const peer: Peer = {
      transport: 'tcp',
      address: plainAddress(socket.remoteAddress ?? ''),
      port: socket.remotePort ?? 0,
    };
    const ofAddress = this.#perAddress.get(peer.address) ?? 0;
    const limit = this.#limitFor(ofAddress);
    if (this.#closing || limit) {
      socket.on('error', () => undefined);
      socket.destroy();
      if (limit) this.#hooks.connectionRefused?.(peer, limit);
      return;
    }
    this.#perAddress.set(peer.address, ofAddress + 1);
    const connection = new Connection(socket, peer, this.#host);
    this.#connections.add(connection);
    this.#silent.add(connection);
    this.#hooks.connectionOpened?.(peer);
  }

  /** The limit at which another connection of an address has to be refused. Makes room for it only if it may come in. */
  #limitFor(ofAddress: number): 'total' | 'address' | undefined {
    if (this.#closing) return undefined;
    if (ofAddress >= this.#limits.maxConnectionsPerAddress) return 'address';
    const isFull = this.#connections.size >= this.#limits.maxConnections;
    return isFull && !this.#dropSilent() ? 'total' : undefined;
  }

  /** Closes the oldest connection that has sent no call: whoever only connects must not lock out others. False if there is none. */
  #dropSilent(): boolean {
    const [oldest] = this.#silent;
    if (!oldest) return false;
    this.#silent.delete(oldest);
    oldest.destroy('no call');
    return true;
  }

  #closed(connection: Connection, reason: CloseReason): void {
    const { peer } = connection;
    this.#connections.delete(connection);
    this.#starved.delete(connection);
    this.#silent.delete(connection);
    const left = (this.#perAddress.get(peer.address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(peer.address);
    else this.#perAddress.set(peer.address, left);
    this.#hooks.connectionClosed?.(peer, reason);
    if (this.#connections.size === 0) this.#whenEmpty?.();
  }

  #sweep(): void {
    const now = performance.now();
    for (const connection of this.#connections) connection.sweep(now);
  }

  /** While a connection is starved, periodically asks all connections to make room. */
  #starve(connection: Connection): void {
    this.#starved.add(connection);
    this.#givingWay ??= setTimeout(() => {
      this.#givingWay = undefined;
      const now = performance.now();
      for (const one of this.#connections) one.giveWay(now);
      this.#memoryFreed();
    }, this.#limits.slowCallMs / 4);
  }

  #memoryFreed(): void {
    if (this.#waking || this.#starved.size === 0) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      const starved = this.#starved;
      this.#starved = new Set();
      for (const connection of starved) connection.wake();
    });
  }
}

/** The NFS side of the gateway: listeners, programs, logging and metrics. */
import type { AddressInfo } from 'node:net';
import {
  MOUNT_PROGRAM,
  MOUNT_VERSION,
  NFS_PROGRAM,
  NFS_VERSION,
  PORTMAP_PORT,
  PORTMAP_PROGRAM,
  PORTMAP_VERSION,
  PortmapTable,
  Protocol,
  RpcServer,
  mountProgram,
  nfs3Program,
  portmapProgram,
  registerPrograms,
  unregisterPrograms,
  type CallContext,
  type CallFinished,
  type Mapping,
  type Peer,
  type RpcHooks,
} from '@holdfast/nfs-rpc';
import { Admission, GuardedServer } from '../admission.ts';
import type { Metrics, NfsClientStatus, RequestMeter } from '../admin/index.ts';
import type { Config, Endpoint } from '../config/index.ts';
import type { CutOff } from '../cut-off.ts';
import { LineThrottle, ordinaryLines, renderName, type Logger } from '../log/index.ts';
import type { Listeners } from '../takeover/listeners.ts';
import { NfsGateway, type NfsExport } from './backend.ts';
import { NfsClients } from './clients.ts';

export interface NfsServerOptions {
  readonly config: Config['nfs'];
  readonly listeners: Listeners;
  readonly exports: readonly NfsExport[];
  readonly metrics: Metrics;
  readonly cutOff: CutOff;
  readonly log: Logger;
}

export class NfsServer {
  readonly addresses: readonly Endpoint[];
  readonly #server: RpcServer;
  readonly #gateway: NfsGateway;
  readonly #clients: NfsClients;
  readonly #unregister: (() => Promise<void>) | undefined;

  private constructor(
    server: RpcServer,
    gateway: NfsGateway,
    clients: NfsClients,
    addresses: readonly Endpoint[],
    unregister: (() => Promise<void>) | undefined,
  ) {
    this.#server = server;
    this.#gateway = gateway;
    this.#clients = clients;
    this.addresses = addresses;
    this.#unregister = unregister;
  }

  /** Starts to listen. Rejects when a port is not available. */
  static async start({
    config,
    listeners,
    exports,
    metrics,
    cutOff,
    log,
  }: NfsServerOptions): Promise<NfsServer> {
    const clients = new NfsClients();
    const server = new RpcServer({ hooks: hooksFor(metrics, clients, cutOff, log) });
    const lines = new LineThrottle(ordinaryLines);
    const tell = (line: object, message: string) => {
      const more = lines.admit();
      if (more) log.info({ ...line, protocol: 'nfs', ...more }, message);
    };
    const refused = new LineThrottle();
    const gateway = new NfsGateway(exports, {
      onMount: (exportName, path, call) => {
        clients.mounted(call.peer, path);
        tell({ ...asked(call), export: exportName, path: renderName(path) }, 'mounted');
      },
      onUnmount: (path, call) => {
        clients.unmounted(call.peer, path);
        tell({ ...asked(call), path: renderName(path) }, 'unmounted');
      },
      onRefused: (exportName, call, why) => {
        metrics.authFailure('nfs');
        const more = refused.admit();
        if (!more) return;
        log.warn(
          { ...asked(call), export: exportName, protocol: 'nfs', ...more },
          why === 'name'
            ? 'refused: there is no such export'
            : 'refused: no rule of the export allows this address',
        );
      },
    });
    server.add(nfs3Program(gateway)).add(mountProgram(gateway));
    try {
      const admission = new Admission('nfs', metrics.connections('nfs'), log);
      admission.setRules([(address) => gateway.admits(address)]);
      return await NfsServer.#listen(server, gateway, clients, config, listeners, admission, log);
    } catch (error) {
      await server.close({ timeoutMs: 0 });
      throw error;
    }
  }

  static async #listen(
    server: RpcServer,
    gateway: NfsGateway,
    clients: NfsClients,
    config: Config['nfs'],
    listeners: Listeners,
    admission: Admission,
    log: Logger,
  ): Promise<NfsServer> {
    const listen = (name: string, at: Endpoint) => listenTcp(server, listeners, name, at, admission);
    const allows = (address: string) => admission.admits(address);
    const main = await listen('nfs', config.listen);
    const addresses: Endpoint[] = [{ host: config.listen.host, port: main.port }];
    let mountPort = main.port;
    if (config.mountListen) {
      mountPort = (await listen('mount', config.mountListen)).port;
      addresses.push({ host: config.mountListen.host, port: mountPort });
    }
    const services: Mapping[] = [
      { program: NFS_PROGRAM, version: NFS_VERSION, protocol: Protocol.tcp, port: main.port },
      { program: MOUNT_PROGRAM, version: MOUNT_VERSION, protocol: Protocol.tcp, port: mountPort },
    ];
    const { portmap } = config;
    const answers = portmap === true || portmap === 'auto';
    const at = { host: config.listen.host, port: PORTMAP_PORT };
    const served = answers && (await listenForPortmap(() => listen('portmap', at), portmap === 'auto', log));
    if (served || portmap === 'register') {
      // mount.nfs and others call MOUNT over UDP unless they are given `mountproto=tcp`.
      const { host } = config.mountListen ?? config.listen;
      await server.listenUdp({ host, port: mountPort, programs: [MOUNT_PROGRAM], allows });
      const { program, version, port } = services[1]!;
      services.push({ program, version, protocol: Protocol.udp, port });
    }
    if (served) {
      servePortmap(server, services);
      await server.listenUdp({ ...at, programs: [PORTMAP_PROGRAM], allows });
    }
    if (config.portmap !== 'register') return new NfsServer(server, gateway, clients, addresses, undefined);
    if (!(await registerPrograms(services))) throw new Error('rpcbind refused to register NFS and MOUNT');
    const unregister = () => unregisterPrograms(services);
    return new NfsServer(server, gateway, clients, addresses, unregister);
  }

  get connections(): number {
    return this.#server.connections;
  }

  /** The clients, latest first, at most `most`. */
  clients(most: number): NfsClientStatus[] {
    return this.#clients.status(most);
  }

  /** Closes the connections of an address and forgets its mounts. Returns false when the address is unknown. */
  endClient(address: string): boolean {
    const known = this.#clients.forget(address);
    return this.#server.disconnect(address) > 0 || known;
  }

  setExports(exports: readonly NfsExport[]): void {
    this.#gateway.setExports(exports);
  }

  /**
   * Drains: answers outstanding calls, flushes and closes; cuts connections after `timeoutMs`.
   * @param handedOver another process serves the same programs, so they stay registered with rpcbind.
   */
  async close(timeoutMs: number, { handedOver = false } = {}): Promise<void> {
    if (!handedOver) await this.#unregister?.().catch(() => undefined);
    await this.#server.close({ timeoutMs });
  }
}

async function listenTcp(
  server: RpcServer,
  listeners: Listeners,
  name: string,
  at: Endpoint,
  admission: Admission,
): Promise<AddressInfo> {
  const listener = new GuardedServer({ allowHalfOpen: true, noDelay: true }, admission);
  await listeners.listen(listener, name, at);
  return server.attach(listener);
}

/** The client and the XID of a call, which finds it in a packet capture. */
const asked = ({ peer, xid }: CallContext) => ({ client: peer.address, request: xid.toString(16) });

/** Returns false when portmap is optional and its port is in use or not permitted to this user. */
async function listenForPortmap(
  listen: () => Promise<unknown>,
  isOptional: boolean,
  log: Logger,
): Promise<boolean> {
  try {
    await listen();
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!isOptional || (code !== 'EADDRINUSE' && code !== 'EACCES')) throw error;
    log.info(
      { code },
      'Port 111 is in use or not allowed: clients must name the port (holdfast mount-options prints it).',
    );
    return false;
  }
}

function servePortmap(server: RpcServer, services: readonly Mapping[]): void {
  const table = new PortmapTable();
  for (const service of services) table.set(service);
  for (const protocol of [Protocol.tcp, Protocol.udp]) {
    table.set({ program: PORTMAP_PROGRAM, version: PORTMAP_VERSION, protocol, port: PORTMAP_PORT });
  }
  server.add(portmapProgram(table));
}

function hooksFor(metrics: Metrics, clients: NfsClients, cutOff: CutOff, log: Logger): RpcHooks {
  const meters = new Map<string, RequestMeter>();
  const connections = metrics.connections('nfs');
  const [malformed, refused, ended] = [new LineThrottle(), new LineThrottle(), new LineThrottle()];
  const meterOf = ({ program, procedure }: CallFinished): RequestMeter => {
    const key = `${program} ${procedure}`;
    let meter = meters.get(key);
    // A program that is not served has its number as its name: all such programs share one meter.
    if (!meter)
      meters.set(key, (meter = metrics.request('nfs', /^\d/.test(program) ? 'unknown' : procedure)));
    return meter;
  };
  const about = (peer: Peer) => ({ client: peer.address, port: peer.port, protocol: 'nfs' });
  return {
    callFinished: (call) => {
      meterOf(call).observe(call.seconds, call.bytesIn, call.bytesOut, succeeded(call.status));
      if (call.status === 'JUKEBOX') metrics.jukebox += 1;
      clients.finished(call);
    },
    connectionOpened: (peer) => {
      connections.opened();
      clients.connected(peer);
      log.debug(about(peer), 'connected');
    },
    connectionClosed: (peer, reason) => {
      connections.closed();
      clients.disconnected(peer);
      if (reason === 'ended' || reason === 'reset' || reason === 'server closed') {
        log.debug({ ...about(peer), reason }, 'disconnected');
        return;
      }
      const more = ended.admit();
      if (more) log.warn({ ...about(peer), reason, ...more }, 'connection ended by the gateway');
    },
    unanswered: ({ address }, calls) => cutOff.note(address, calls),
    connectionRefused: (peer, reason) => {
      connections.refused += 1;
      const more = refused.admit();
      if (more)
        log.warn({ ...about(peer), limit: reason, ...more }, 'connection refused: too many connections');
    },
    malformed: (peer, reason) => {
      const more = malformed.admit();
      if (more) log.warn({ ...about(peer), reason, ...more }, 'malformed call');
    },
    retransmission: (peer, program, procedure, answered) =>
      log.debug({ ...about(peer), program, procedure, answered }, 'retransmission of a call in progress'),
    bug: (error, where) => log.error({ err: error, where, protocol: 'nfs' }, 'bug: unexpected error'),
  };
}

/** Statuses that are a normal answer, such as "no such name". They do not count as failures of the gateway. */
const ordinary = new Set([
  'OK',
  'SUCCESS',
  'NOENT',
  'ROFS',
  'NOTDIR',
  'ISDIR',
  'ACCES',
  'EXIST',
  'NAMETOOLONG',
  'TOOSMALL',
]);
const succeeded = (status: string) => ordinary.has(status);

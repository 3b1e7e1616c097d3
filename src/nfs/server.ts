/** The NFS side of the gateway: listeners, programs, and what they tell the log and the metrics. */
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
  type CallFinished,
  type Mapping,
  type Peer,
  type RpcHooks,
} from '@holdfast/nfs-rpc';
import { Admission, GuardedServer } from '../admission.ts';
import type { Metrics, RequestMeter } from '../admin/index.ts';
import type { Config, Endpoint } from '../config/index.ts';
import { LineThrottle, renderName, type Logger } from '../log/index.ts';
import type { Listeners } from '../takeover/listeners.ts';
import { NfsGateway, type NfsExport } from './backend.ts';

export interface NfsServerOptions {
  readonly config: Config['nfs'];
  readonly listeners: Listeners;
  readonly exports: readonly NfsExport[];
  readonly metrics: Metrics;
  readonly log: Logger;
}

export class NfsServer {
  readonly addresses: readonly Endpoint[];
  readonly #server: RpcServer;
  readonly #gateway: NfsGateway;
  readonly #unregister: (() => Promise<void>) | undefined;

  private constructor(
    server: RpcServer,
    gateway: NfsGateway,
    addresses: readonly Endpoint[],
    unregister: (() => Promise<void>) | undefined,
  ) {
    this.#server = server;
    this.#gateway = gateway;
    this.addresses = addresses;
    this.#unregister = unregister;
  }

  /** Listens; rejects when a port cannot be had. */
  static async start({ config, listeners, exports, metrics, log }: NfsServerOptions): Promise<NfsServer> {
    const server = new RpcServer({ hooks: hooksFor(metrics, log) });
    const gateway = new NfsGateway(exports, {
      onMount: (exportName, path, peer) =>
        log.info({ client: peer.address, export: exportName, path: renderName(path) }, 'mounted'),
      onUnmount: (path, peer) => log.info({ client: peer.address, path: renderName(path) }, 'unmounted'),
      onRefused: (exportName, peer) =>
        log.warn(
          { client: peer.address, export: exportName },
          'refused: no rule of the export allows this address',
        ),
    });
    server.add(nfs3Program(gateway)).add(mountProgram(gateway));
    try {
      const admission = new Admission('nfs', metrics.connections('nfs'), log);
      admission.setRules([(address) => gateway.admits(address)]);
      return await NfsServer.#listen(server, gateway, config, listeners, admission);
    } catch (error) {
      await server.close({ timeoutMs: 0 });
      throw error;
    }
  }

  static async #listen(
    server: RpcServer,
    gateway: NfsGateway,
    config: Config['nfs'],
    listeners: Listeners,
    admission: Admission,
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
    if (config.portmap !== false) {
      // mount.nfs and others ask MOUNT by UDP unless they are told `mountproto=tcp`.
      const { host } = config.mountListen ?? config.listen;
      await server.listenUdp({ host, port: mountPort, programs: [MOUNT_PROGRAM], allows });
      const { program, version, port } = services[1]!;
      services.push({ program, version, protocol: Protocol.udp, port });
    }
    if (config.portmap === true) {
      const at = { host: config.listen.host, port: PORTMAP_PORT };
      servePortmap(server, services);
      await listen('portmap', at);
      await server.listenUdp({ ...at, programs: [PORTMAP_PROGRAM], allows });
    }
    if (config.portmap !== 'register') return new NfsServer(server, gateway, addresses, undefined);
    if (!(await registerPrograms(services))) throw new Error('rpcbind refused to register NFS and MOUNT');
    const unregister = () => unregisterPrograms(services);
    return new NfsServer(server, gateway, addresses, unregister);
  }

  get connections(): number {
    return this.#server.connections;
  }

  setExports(exports: readonly NfsExport[]): void {
    this.#gateway.setExports(exports);
  }

  /**
   * Finishes what was asked, flushes, and ends; cut off after `timeoutMs`.
   * @param handedOver another process serves the same programs, so that they stay registered.
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

function servePortmap(server: RpcServer, services: readonly Mapping[]): void {
  const table = new PortmapTable();
  for (const service of services) table.set(service);
  for (const protocol of [Protocol.tcp, Protocol.udp]) {
    table.set({ program: PORTMAP_PROGRAM, version: PORTMAP_VERSION, protocol, port: PORTMAP_PORT });
  }
  server.add(portmapProgram(table));
}

function hooksFor(metrics: Metrics, log: Logger): RpcHooks {
  const meters = new Map<string, RequestMeter>();
  const connections = metrics.connections('nfs');
  const malformed = new LineThrottle();
  const meterOf = ({ program, procedure }: CallFinished): RequestMeter => {
    const key = `${program} ${procedure}`;
    let meter = meters.get(key);
    // A program that is not served is named by its number: one meter for all of them.
    if (!meter)
      meters.set(key, (meter = metrics.request('nfs', /^\d/.test(program) ? 'unknown' : procedure)));
    return meter;
  };
  const about = (peer: Peer) => ({ client: peer.address, port: peer.port, protocol: 'nfs' });
  return {
    callFinished: (call) =>
      meterOf(call).observe(call.seconds, call.bytesIn, call.bytesOut, succeeded(call.status)),
    connectionOpened: (peer) => {
      connections.opened();
      log.debug(about(peer), 'connected');
    },
    connectionClosed: (peer, reason) => {
      connections.closed();
      if (reason === 'ended' || reason === 'reset' || reason === 'server closed') {
        log.debug({ ...about(peer), reason }, 'disconnected');
      } else log.warn({ ...about(peer), reason }, 'connection ended by the gateway');
    },
    connectionRefused: (peer, reason) => {
      connections.refused += 1;
      log.warn({ ...about(peer), limit: reason }, 'connection refused: too many connections');
    },
    malformed: (peer, reason) => {
      const omitted = malformed.admit();
      if (omitted !== undefined) log.warn({ ...about(peer), reason, omitted }, 'malformed call');
    },
    retransmission: (peer, program, procedure, answered) =>
      log.debug({ ...about(peer), program, procedure, answered }, 'retransmission of a call in progress'),
    bug: (error, where) => log.error({ err: error, where, protocol: 'nfs' }, 'bug: unexpected error'),
  };
}

/** Answers that tell a client what it asked, be it that a name does not exist, are no failures of the gateway. */
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

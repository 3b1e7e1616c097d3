/** Assembles the gateway: sources, trees, protocol servers and the admin server. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  gather,
  Metrics,
  Series,
  startAdmin,
  type Actions,
  type AdminServer,
  type ListeningStatus,
  type Refusal,
} from './admin/index.ts';
import { BlockCache } from './cache/block-cache.ts';
import { formatEndpoint, type Config, type Endpoint } from './config/index.ts';
import { CutOff } from './cut-off.ts';
import type { Mdns } from './discovery/mdns.ts';
import { ExportSet } from './export-set.ts';
import type { Logger } from './log/index.ts';
import type { ForgetOutcome } from './source/source.ts';
import { NfsServer } from './nfs/server.ts';
import { localAddresses } from './network.ts';
import { SmbServer } from './smb/server.ts';
import { Listeners, type InheritedSockets } from './takeover/listeners.ts';
import { durableKey, serverGuid } from './tree/identity.ts';
import { seedOf } from './state/seed.ts';
import { version as programVersion } from './version.ts';
import { ScanFolder, scanFolderPath } from './state/scan-folder.ts';
import { KnownMounts } from './state/known-mounts.ts';
import { WarmMetadata } from './state/warm-metadata.ts';

export interface ListeningAddress extends Endpoint {
  readonly protocol: 'nfs' | 'smb' | 'admin';
}

/** After a successor has taken over: ms between the end of listening and the end of reading requests. */
const lastVisitors = 250;

/** Ms that NFS calls may take to finish at shutdown. Clients repeat unanswered calls at the next gateway. */
const nfsPatience = 3_000;

export interface CloseOptions {
  /** Time limit for outstanding requests, in ms. Default 10 s. */
  readonly timeoutMs?: number;
  /** Another process already serves the same sockets and registrations. */
  readonly handedOver?: boolean;
}

interface Parts {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly listeners: Listeners;
  readonly blocks: BlockCache;
  readonly exports: ExportSet;
  readonly nfs: NfsServer;
  readonly smb: SmbServer;
  readonly admin: AdminServer;
  readonly series: Series;
  readonly mdns: Mdns | undefined;
  /** Aborted when the gateway begins to stop. */
  readonly stopping: AbortController;
  readonly cutOff: CutOff;
}

export class Gateway {
  readonly addresses: readonly ListeningAddress[];
  readonly #parts: Parts;
  #reloading: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(parts: Parts) {
    const { nfs, smb, admin, config } = parts;
    this.#parts = parts;
    this.addresses = [
      ...protocolAddresses(nfs, smb),
      { protocol: 'admin', host: admin.host, port: admin.port },
    ];
    this.#announce(config);
  }

  #announce({ exports }: Config): void {
    const { nfs, smb, mdns } = this.#parts;
    mdns?.announce({
      nfs: nfs.addresses[0]!.port,
      smb: smb.addresses[0]!.port,
      exports: exports.map(({ name }) => name),
    });
  }

  /** Every listening socket, for a process that takes over. */
  get sockets(): InheritedSockets {
    return this.#parts.listeners.sockets;
  }

  /** Number of calls to sources that have not returned yet. */
  get callsInKernel(): number {
    return this.#parts.exports.callsInKernel;
  }

  /**
   * Applies a new configuration and keeps the connections that it still allows. Settings that cannot change in a running
   * gateway keep their values; this is logged. Takes at most 15 s, the limit for the first look at new sources.
   */
  reload(next: Config): Promise<void> {
    const done = this.#reloading.then(() => (this.#closing ? undefined : this.#reload(next)));
    this.#reloading = done.catch(() => undefined);
    return done;
  }

  async #reload(next: Config): Promise<void> {
    const { config, log, blocks, exports, nfs, smb } = this.#parts;
    blocks.resize(next.cache.memory);
    const changed = await exports.change(next.exports);
    // Exports opened during shutdown are closed with the others.
    if (this.#closing) return;
    nfs.setExports(exports.forNfs());
    smb.setExports(exports.forSmb());
    this.#announce(next);
    log.level = next.log.level;
    const fixed = fixedSettings(config, next);
    if (fixed.length > 0)
      log.warn({ settings: fixed }, 'settings that cannot change in a running gateway keep their values');
    log.info(changed, 'configuration read again');
  }

  /** Stops accepting, finishes outstanding requests within the time limit, saves state and ends. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close({ timeoutMs = 10_000, handedOver = false }: CloseOptions): Promise<void> {
    const { log, listeners, nfs, smb, exports, admin, series, mdns, stopping, cutOff } = this.#parts;
    stopping.abort();
    log.info('stopping: finishing outstanding requests');
    if (handedOver) {
      // A client may have connected just before the takeover: let it send and finish its first request.
      listeners.close();
      await sleep(lastVisitors);
    }
    const discoveryClosed = mdns?.close(!handedOver);
    const smbClosed = smb.close(timeoutMs);
    exports.stopWaiting();
    // SMB waits for an idle moment and for stuck requests. NFS needs neither, so it is served until then.
    const nfsMs = Math.min(nfsPatience, timeoutMs / 2);
    await Promise.race([smbClosed, sleep(timeoutMs - nfsMs, undefined, { ref: false })]);
    await Promise.all([smbClosed, nfs.close(nfsMs, { handedOver })]);
    await exports.close();
    await admin.close();
    series.close();
    await discoveryClosed;
    const { requests, clients } = cutOff;
    if (requests > 0)
      log.warn({ requests, clients }, 'requests were not answered: their clients have to ask again');
    log.info('stopped');
  }
}

const protocolAddresses = (nfs: NfsServer, smb: SmbServer) => [
  ...nfs.addresses.map((address) => ({ protocol: 'nfs' as const, ...address })),
  ...smb.addresses.map((address) => ({ protocol: 'smb' as const, ...address })),
];

const forgetAnswers: Readonly<Record<ForgetOutcome, string | Refusal | undefined>> = {
  forgotten: 'nothing is expected there any more',
  mounted: { refused: 'it is mounted: unmount it first' },
  listed: { refused: 'the configuration names it: take it out there, and send SIGHUP' },
  unknown: undefined,
};

/** The actions of the status page. */
function actionsOf(exports: ExportSet, nfs: NfsServer, smb: SmbServer): Actions {
  return {
    retry: {
      needs: ['export', 'path', 'aspect'],
      run: ({ export: name = '', path = '', aspect = '' }) =>
        exports.retry(name, path, aspect) ? 'the next request tries it again' : undefined,
    },
    'forget-mount': {
      needs: ['export', 'mount'],
      run: ({ export: name = '', mount = '' }) => forgetAnswers[exports.forgetMount(name, mount)],
    },
    'end-session': {
      needs: ['id'],
      run: ({ id = '' }) => (smb.endSession(id) ? 'the session has ended' : undefined),
    },
    'end-client': {
      needs: ['client'],
      run: ({ client = '' }) => (nfs.endClient(client) ? 'its connections have ended' : undefined),
    },
  };
}

/** Names of changed settings that a running gateway cannot apply. */
function fixedSettings(before: Config, after: Config): string[] {
  const values = ({
    nfs,
    smb,
    admin,
    discovery,
    run,
    state,
    identity,
    secret,
  }: Config): Record<string, unknown> => ({
    'nfs.listen': formatEndpoint(nfs.listen),
    'nfs.mountListen': nfs.mountListen && formatEndpoint(nfs.mountListen),
    'nfs.portmap': nfs.portmap,
    'smb.listen': formatEndpoint(smb.listen),
    'smb.signing': smb.signing,
    'smb.encryption': smb.encryption,
    'smb.multichannel': smb.multichannel,
    'smb.interfaces': smb.interfaces?.join(' '),
    'admin.listen': formatEndpoint(admin.listen),
    'admin.details': admin.details.toString(),
    'admin.hosts': admin.hosts.join(),
    'admin.token': admin.token?.reveal(),
    discovery,
    run: JSON.stringify(run),
    state,
    identity,
    secret: secret?.reveal(),
  });
  const old = values(before);
  return Object.entries(values(after)).flatMap(([name, value]) => (old[name] === value ? [] : [name]));
}

/** Starts the exports and servers. If a port cannot be opened, it stops what it started and rejects. */
export async function startGateway(
  config: Config,
  log: Logger,
  listeners: Listeners = new Listeners(),
): Promise<Gateway> {
  const metrics = new Metrics();
  const version = programVersion();
  const seed = seedOf(config, log);
  const warm = config.state === undefined ? undefined : new WarmMetadata(config.state, log);
  const blocks = new BlockCache(config.cache.memory);
  const known = config.state === undefined ? undefined : new KnownMounts(config.state, log);
  const exports = new ExportSet({ seed, metrics, log, warm, known, blocks });
  metrics.addInfo({ version, node: process.versions.node });
  await exports.change(config.exports).catch(async (error: unknown) => {
    await exports.close();
    throw error;
  });
  const series = new Series(metrics, () => exports.waiting);
  const scanFolder = scanFolderPath(config.state);
  const stopping = new AbortController();
  const cutOff = new CutOff(stopping.signal);
  let nfs: NfsServer | undefined;
  let smb: SmbServer | undefined;
  try {
    nfs = await NfsServer.start({
      config: config.nfs,
      listeners,
      metrics,
      cutOff,
      log,
      exports: exports.forNfs(),
    });
    smb = await SmbServer.start({
      config: config.smb,
      listeners,
      serverGuid: serverGuid(config.identity),
      durableKey: durableKey(seed.text),
      scanStore: scanFolder === undefined ? undefined : ScanFolder.open(scanFolder, log),
      interfaces: localAddresses(config.smb.listen.host, config.smb.interfaces),
      metrics,
      cutOff,
      log,
      exports: exports.forSmb(),
    });
    const servers = { nfs, smb };
    const listening: ListeningStatus[] = protocolAddresses(nfs, smb);
    const admin = await startAdmin({
      ...config.admin.listen,
      listen: (server) => listeners.listen(server, 'admin', config.admin.listen),
      metrics,
      log,
      state: () => ({ ready: !stopping.signal.aborted, exports: exports.state() }),
      status: () =>
        gather({
          version,
          series,
          cache: blocks,
          ready: () => !stopping.signal.aborted,
          listening: () => listening,
          exports: () => exports.status(),
          streams: () => exports.streams(),
          sessions: (most) => servers.smb.sessions(most),
          nfsClients: (most) => servers.nfs.clients(most),
        }),
      actions: actionsOf(exports, nfs, smb),
      details: (address) => config.admin.details.allows(address),
      token: config.admin.token?.reveal(),
      hosts: config.admin.hosts,
    });
    listening.push({ protocol: 'admin', host: admin.host, port: admin.port });
    const mdns = config.discovery ? new (await import('./discovery/mdns.ts')).Mdns({ log }) : undefined;
    return new Gateway({
      ...{ config, log, metrics, listeners, blocks, exports },
      ...{ nfs, smb, admin, series, mdns, stopping, cutOff },
    });
  } catch (error) {
    series.close();
    await Promise.all([nfs?.close(0), smb?.close(0)]);
    await exports.close();
    throw error;
  }
}

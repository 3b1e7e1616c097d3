/** Puts the parts together: sources, trees, the protocols that serve them, and the page that tells about it all. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startAdmin, Metrics, type AdminServer } from './admin/index.ts';
import { formatEndpoint, type Config, type Endpoint } from './config/index.ts';
import { ExportSet } from './export-set.ts';
import type { Logger } from './log/index.ts';
import { NfsServer } from './nfs/server.ts';
import { localAddresses } from './network.ts';
import { SmbServer } from './smb/server.ts';
import { Listeners, type InheritedSockets } from './takeover/listeners.ts';
import { durableKey, serverGuid } from './tree/identity.ts';
import { seedOf } from './state/seed.ts';
import { ScanFolder, scanFolderPath } from './state/scan-folder.ts';
import { WarmMetadata } from './state/warm-metadata.ts';

export interface ListeningAddress extends Endpoint {
  readonly protocol: 'nfs' | 'smb' | 'admin';
}

/** From the end of listening to the end of reading when a successor has taken over, in ms. */
const lastVisitors = 250;

/** How long NFS calls may take to finish, in ms: what hangs its clients ask the next gateway. */
const nfsPatience = 3_000;

export interface CloseOptions {
  /** How long outstanding requests may take, in ms. Default 10 s. */
  readonly timeoutMs?: number;
  /** Another process serves the same sockets and registrations already. */
  readonly handedOver?: boolean;
}

interface Parts {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly listeners: Listeners;
  readonly exports: ExportSet;
  readonly nfs: NfsServer;
  readonly smb: SmbServer;
  readonly admin: AdminServer;
}

export class Gateway {
  readonly addresses: readonly ListeningAddress[];
  readonly #parts: Parts;
  #reloading: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(parts: Parts) {
    const { nfs, smb, admin } = parts;
    this.#parts = parts;
    this.addresses = [
      ...nfs.addresses.map((address) => ({ protocol: 'nfs' as const, ...address })),
      ...smb.addresses.map((address) => ({ protocol: 'smb' as const, ...address })),
      { protocol: 'admin', host: admin.host, port: admin.port },
    ];
  }

  /** Every listening socket, for a process that takes this one's place. */
  get sockets(): InheritedSockets {
    return this.#parts.listeners.sockets;
  }

  /** Calls to sources that have not come back, as of now. */
  get callsInKernel(): number {
    return this.#parts.exports.callsInKernel;
  }

  /**
   * Serves what another configuration says, without ending a connection that it still allows. What cannot change while
   * the gateway runs keeps its value, which is logged. Bounded by the time in which new sources are looked at, 15 s.
   */
  reload(next: Config): Promise<void> {
    const done = this.#reloading.then(() => (this.#closing ? undefined : this.#reload(next)));
    this.#reloading = done.catch(() => undefined);
    return done;
  }

  async #reload(next: Config): Promise<void> {
    const { config, log, exports, nfs, smb } = this.#parts;
    const changed = await exports.change(next.exports);
    // Exports opened during shutdown are closed with the others.
    if (this.#closing) return;
    nfs.setExports(exports.forNfs());
    smb.setExports(exports.forSmb());
    log.level = next.log.level;
    const fixed = fixedSettings(config, next);
    if (fixed.length > 0)
      log.warn({ settings: fixed }, 'settings that cannot change in a running gateway keep their values');
    log.info(changed, 'configuration read again');
  }

  /** Stops accepting, finishes every outstanding request, flushes and ends; bounded. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close({ timeoutMs = 10_000, handedOver = false }: CloseOptions): Promise<void> {
    const { log, listeners, nfs, smb, exports, admin } = this.#parts;
    log.info('stopping: finishing outstanding requests');
    if (handedOver) {
      // Who came just before the successor took over shall at least have an answer to what it came for.
      listeners.close();
      await sleep(lastVisitors);
    }
    const smbClosed = smb.close(timeoutMs);
    exports.stopWaiting();
    // SMB waits for a good moment, and for what hangs. NFS needs neither: until then it is served.
    const nfsMs = Math.min(nfsPatience, timeoutMs / 2);
    await Promise.race([smbClosed, sleep(timeoutMs - nfsMs, undefined, { ref: false })]);
    await Promise.all([smbClosed, nfs.close(nfsMs, { handedOver })]);
    await exports.close();
    await admin.close();
    log.info('stopped');
  }
}

/** Names of the settings that differ although a running gateway cannot change them. */
function fixedSettings(before: Config, after: Config): string[] {
  const values = ({ nfs, smb, admin, state, identity, secret }: Config): Record<string, unknown> => ({
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
    state,
    identity,
    secret: secret?.reveal(),
  });
  const old = values(before);
  return Object.entries(values(after)).flatMap(([name, value]) => (old[name] === value ? [] : [name]));
}

/** Starts everything that the configuration names. Rejects, with nothing left running, when a port cannot be had. */
export async function startGateway(
  config: Config,
  log: Logger,
  listeners: Listeners = new Listeners(),
): Promise<Gateway> {
  const metrics = new Metrics();
  const seed = seedOf(config, log);
  const warm = config.state === undefined ? undefined : new WarmMetadata(config.state, log);
  const exports = new ExportSet({ seed, metrics, log, warm });
  await exports.change(config.exports);
  const scanFolder = scanFolderPath(config.state);
  let nfs: NfsServer | undefined;
  let smb: SmbServer | undefined;
  try {
    nfs = await NfsServer.start({
      config: config.nfs,
      listeners,
      metrics,
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
      log,
      exports: exports.forSmb(),
    });
    const admin = await startAdmin({
      ...config.admin.listen,
      listen: (server) => listeners.listen(server, 'admin', config.admin.listen),
      metrics,
      log,
      state: () => ({ ready: true, exports: exports.state() }),
      details: (address) => config.admin.details.allows(address),
      hosts: config.admin.hosts,
    });
    return new Gateway({ config, log, metrics, listeners, exports, nfs, smb, admin });
  } catch (error) {
    await Promise.all([nfs?.close(0), smb?.close(0)]);
    await exports.close();
    throw error;
  }
}

/** Puts the parts together: sources, trees, the protocols that serve them, and the page that tells about it all. */
import { startAdmin, Metrics, type AdminServer, type AdminState } from './admin/index.ts';
import { formatEndpoint, type Config, type Endpoint, type ExportConfig } from './config/index.ts';
import type { Logger } from './log/index.ts';
import type { NfsExport } from './nfs/backend.ts';
import { NfsServer } from './nfs/server.ts';
import { SmbServer, type SmbExport } from './smb/server.ts';
import { reshareLanes } from './source/lanes.ts';
import { Source } from './source/source.ts';
import { Listeners, type InheritedSockets } from './takeover/listeners.ts';
import { durableKey, Identity, serverGuid } from './tree/identity.ts';
import { Tree } from './tree/tree.ts';

export interface ListeningAddress extends Endpoint {
  readonly protocol: 'nfs' | 'smb' | 'admin';
}

/** How long outstanding requests may take at a planned stop when nobody says, in ms. */
export const defaultDrainTimeout = 25_000;

/** How often an export that was taken out is looked at for requests that still run, and how long at most, in ms. */
const retireInterval = 500;
const retireTimeout = 90_000;

interface ServedExport {
  readonly config: ExportConfig;
  readonly source: Source;
  readonly tree: Tree;
}

export interface CloseOptions {
  /** How long outstanding requests may take, in ms. Default 25 s. */
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
    const done = this.#reloading.then(() => this.#reload(next));
    this.#reloading = done.catch(() => undefined);
    return done;
  }

  async #reload(next: Config): Promise<void> {
    const { config, log, exports, nfs, smb } = this.#parts;
    const changed = await exports.change(next.exports);
    // What was opened meanwhile is closed with the rest.
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

  async #close({ timeoutMs = defaultDrainTimeout, handedOver = false }: CloseOptions): Promise<void> {
    const { log, nfs, smb, exports, admin } = this.#parts;
    log.info('stopping: finishing outstanding requests');
    // A health check that comes to a gateway that goes is better answered by the one that stays.
    const adminClosed = handedOver ? admin.close() : undefined;
    await Promise.all([nfs.close(timeoutMs, { handedOver }), smb.close(timeoutMs)]);
    exports.close();
    await (adminClosed ?? admin.close());
    log.info('stopped');
  }
}

/** Names of the settings that differ although a running gateway cannot change them. */
function fixedSettings(before: Config, after: Config): string[] {
  const values = ({ nfs, smb, admin, state, identity }: Config): Record<string, unknown> => ({
    'nfs.listen': formatEndpoint(nfs.listen),
    'nfs.mountListen': nfs.mountListen && formatEndpoint(nfs.mountListen),
    'nfs.portmap': nfs.portmap,
    'smb.listen': formatEndpoint(smb.listen),
    'smb.signing': smb.signing,
    'smb.encryption': smb.encryption,
    'admin.listen': formatEndpoint(admin.listen),
    state,
    identity,
  });
  const old = values(before);
  return Object.entries(values(after)).flatMap(([name, value]) => (old[name] === value ? [] : [name]));
}

/** The exports that are served now, and those whose last requests are being finished. */
class ExportSet {
  #served: readonly ServedExport[] = [];
  readonly #retiring = new Map<ServedExport, NodeJS.Timeout>();
  readonly #seed: string;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  #closed = false;

  constructor(seed: string, metrics: Metrics, log: Logger) {
    this.#seed = seed;
    this.#metrics = metrics;
    this.#log = log;
  }

  /**
   * Takes over another list. An export whose tree is the same goes on with it under its new rules; one that is not there
   * any more is closed when its last request has ended.
   */
  async change(
    configs: readonly ExportConfig[],
  ): Promise<{ added: string[]; removed: string[]; kept: string[] }> {
    const before = this.#served;
    const same = (config: ExportConfig) => before.find((one) => isSameTree(one.config, config));
    const after = await Promise.all(
      configs.map(async (config) => {
        const known = same(config);
        return known ? { ...known, config } : this.#open(config, configs.length);
      }),
    );
    const stay = new Set(after.map(({ tree }) => tree));
    this.#served = after;
    // A thread that is lent to one export must not be missing for another.
    for (const { source } of after) reshareLanes(source.lanes, configs.length);
    for (const one of before) if (!stay.has(one.tree)) this.#retire(one);
    for (const { config, source } of after) this.#metrics.watchSource(config.name, source);
    if (this.#closed) this.close();
    const old = new Set(before.map(({ tree }) => tree));
    const names = (list: readonly ServedExport[]) => list.map(({ config }) => config.name);
    return {
      added: names(after.filter(({ tree }) => !old.has(tree))),
      removed: names(before.filter(({ tree }) => !stay.has(tree))),
      kept: names(after.filter(({ tree }) => old.has(tree))),
    };
  }

  forNfs(): NfsExport[] {
    return this.#served.map(({ config: { name, nfs: rules }, tree }) => ({
      name,
      tree,
      squash: { mode: rules.squash, uid: rules.uid, gid: rules.gid },
      allows: (address: string) => rules.clients.allows(address),
      groups: rules.clients.toString().split(', '),
    }));
  }

  forSmb(): SmbExport[] {
    return this.#served.map(({ config: { name, smb: rules }, tree }) => ({ name, tree, ...rules }));
  }

  state(): AdminState['exports'] {
    return this.#served.map(({ config, source, tree }) => ({
      name: config.name,
      path: config.path,
      state: source.state,
      reason: source.reason,
      epoch: source.epoch,
      nodes: tree.size,
    }));
  }

  get callsInKernel(): number {
    let calls = 0;
    for (const { source } of [...this.#served, ...this.#retiring.keys()])
      for (const lane of Object.values(source.lanes)) calls += lane.inFlight;
    return calls;
  }

  close(): void {
    this.#closed = true;
    for (const [one, timer] of this.#retiring) {
      clearInterval(timer);
      closeExport(one);
    }
    for (const one of this.#served) closeExport(one);
  }

  async #open(config: ExportConfig, count: number): Promise<ServedExport> {
    const log = this.#log;
    const source = new Source({ path: config.path, expectFuse: config.expectFuse, exports: count });
    source.onState((state, epoch, reason) => {
      const line = { export: config.name, path: config.path, state, epoch, reason };
      if (state === 'live') log.info(line, 'source is live');
      else log.warn(line, `source is ${state}`);
    });
    const tree = new Tree({
      identity: new Identity(this.#seed, config.name),
      source,
      // Nothing but a FUSE daemon reports the clock as its files' times.
      times: config.expectFuse ? config.times : 'source',
    });
    await source.start();
    if (source.state !== 'live') {
      log.warn({ export: config.name, path: config.path, reason: source.reason }, 'waiting for the source');
    }
    return { config, source, tree };
  }

  /** Nobody can ask for anything new; what was asked for comes to an end by itself, at the latest at its deadline. */
  #retire(one: ServedExport): void {
    this.#metrics.forgetSource(one.config.name, one.source);
    const since = performance.now();
    let quiet = 0;
    const timer = setInterval(() => {
      const { metadata, data } = one.source.lanes;
      const busy = [metadata, data].some((lane) => lane.inFlight - lane.hung + lane.waiting > 0);
      quiet = busy ? 0 : quiet + 1;
      if (quiet < 2 && performance.now() - since < retireTimeout) return;
      clearInterval(timer);
      this.#retiring.delete(one);
      closeExport(one);
      this.#log.info({ export: one.config.name, path: one.config.path }, 'export closed');
    }, retireInterval).unref();
    this.#retiring.set(one, timer);
  }
}

const isSameTree = (a: ExportConfig, b: ExportConfig) =>
  a.name === b.name && a.path === b.path && a.expectFuse === b.expectFuse && a.times === b.times;

function closeExport({ source, tree }: ServedExport): void {
  tree.close();
  source.close();
}

/** Starts everything that the configuration names. Rejects, with nothing left running, when a port cannot be had. */
export async function startGateway(
  config: Config,
  log: Logger,
  listeners: Listeners = new Listeners(),
): Promise<Gateway> {
  const metrics = new Metrics();
  const exports = new ExportSet(config.identity, metrics, log);
  await exports.change(config.exports);
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
      durableKey: durableKey(config.identity),
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
    });
    return new Gateway({ config, log, metrics, listeners, exports, nfs, smb, admin });
  } catch (error) {
    await Promise.all([nfs?.close(0), smb?.close(0)]);
    exports.close();
    throw error;
  }
}

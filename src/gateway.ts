/** Puts the parts together: sources, trees, the protocols that serve them, and the page that tells about it all. */
import { startAdmin, Metrics, type AdminServer } from './admin/index.ts';
import type { Config, Endpoint, ExportConfig } from './config/index.ts';
import type { Logger } from './log/index.ts';
import { NfsServer } from './nfs/server.ts';
import { SmbServer } from './smb/server.ts';
import { Source } from './source/source.ts';
import { durableKey, Identity, serverGuid } from './tree/identity.ts';
import { Tree } from './tree/tree.ts';

export interface ListeningAddress extends Endpoint {
  readonly protocol: 'nfs' | 'smb' | 'admin';
}

/** Every outstanding request gets this long to finish at a planned stop, in ms. */
const drainTimeout = 25_000;

interface ServedExport {
  readonly config: ExportConfig;
  readonly source: Source;
  readonly tree: Tree;
}

export class Gateway {
  readonly addresses: readonly ListeningAddress[];
  readonly #exports: readonly ServedExport[];
  readonly #nfs: NfsServer;
  readonly #smb: SmbServer;
  readonly #admin: AdminServer;
  readonly #log: Logger;
  #closing: Promise<void> | undefined;

  constructor(
    exports: readonly ServedExport[],
    nfs: NfsServer,
    smb: SmbServer,
    admin: AdminServer,
    log: Logger,
  ) {
    this.#exports = exports;
    this.#nfs = nfs;
    this.#smb = smb;
    this.#admin = admin;
    this.#log = log;
    this.addresses = [
      ...nfs.addresses.map((address) => ({ protocol: 'nfs' as const, ...address })),
      ...smb.addresses.map((address) => ({ protocol: 'smb' as const, ...address })),
      { protocol: 'admin', host: admin.host, port: admin.port },
    ];
  }

  /** Stops accepting, finishes every outstanding request, flushes and ends; bounded. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#log.info('stopping: finishing outstanding requests');
    await Promise.all([this.#nfs.close(drainTimeout), this.#smb.close(drainTimeout)]);
    for (const { source, tree } of this.#exports) {
      tree.close();
      source.close();
    }
    await this.#admin.close();
    this.#log.info('stopped');
  }
}

async function serveExport(
  config: ExportConfig,
  seed: string,
  count: number,
  log: Logger,
): Promise<ServedExport> {
  const source = new Source({
    path: config.path,
    expectFuse: config.expectFuse,
    exports: count,
  });
  source.onState((state, epoch, reason) => {
    const line = { export: config.name, path: config.path, state, epoch, reason };
    if (state === 'live') log.info(line, 'source is live');
    else log.warn(line, `source is ${state}`);
  });
  const tree = new Tree({
    identity: new Identity(seed, config.name),
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

/** Starts everything that the configuration names. Rejects, with nothing left running, when a port cannot be had. */
export async function startGateway(config: Config, log: Logger): Promise<Gateway> {
  const metrics = new Metrics();
  const exports = await Promise.all(
    config.exports.map((entry) => serveExport(entry, config.identity, config.exports.length, log)),
  );
  for (const { config: entry, source } of exports) metrics.watchSource(entry.name, source);
  let nfs: NfsServer | undefined;
  let smb: SmbServer | undefined;
  try {
    nfs = await NfsServer.start({
      config: config.nfs,
      metrics,
      log,
      exports: exports.map(({ config: { name, nfs: rules }, tree }) => ({
        name,
        tree,
        squash: { mode: rules.squash, uid: rules.uid, gid: rules.gid },
        allows: (address: string) => rules.clients.allows(address),
        groups: rules.clients.toString().split(', '),
      })),
    });
    smb = await SmbServer.start({
      config: config.smb,
      serverGuid: serverGuid(config.identity),
      durableKey: durableKey(config.identity),
      metrics,
      log,
      exports: exports.map(({ config: { name, smb: rules }, tree }) => ({ name, tree, ...rules })),
    });
    const admin = await startAdmin({
      ...config.admin.listen,
      metrics,
      log,
      state: () => ({
        ready: true,
        exports: exports.map(({ config: entry, source, tree }) => ({
          name: entry.name,
          path: entry.path,
          state: source.state,
          reason: source.reason,
          epoch: source.epoch,
          nodes: tree.size,
        })),
      }),
    });
    return new Gateway(exports, nfs, smb, admin, log);
  } catch (error) {
    await Promise.all([nfs?.close(0), smb?.close(0)]);
    for (const { source, tree } of exports) {
      tree.close();
      source.close();
    }
    throw error;
  }
}

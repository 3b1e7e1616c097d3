/**
 * Announces the exports on the local network by multicast DNS (RFC 6762) and DNS-SD (RFC 6763), so that players and file managers
 * find them. Off unless the configuration enables it.
 */
import { hostname } from 'node:os';
import { Bonjour, type Service } from 'bonjour-service';
import type { Logger } from '../log/index.ts';

export interface Announcement {
  readonly nfs: number;
  readonly smb: number;
  /** Names of the exports. */
  readonly exports: readonly string[];
}

export interface MdnsOptions {
  readonly log: Logger;
  /** Where to send and listen; replaced in tests. Default: all network interfaces. */
  readonly network?: object;
}

/** The most milliseconds that sending the goodbye may take. */
const longestGoodbye = 500;

/** The host name without its domain, as mDNS requires. */
const hostLabel = () => hostname().split('.', 1)[0]!;

export class Mdns {
  readonly #log: Logger;
  readonly #bonjour: Bonjour;
  #services: Service[] = [];
  #told = '';

  constructor({ log, network }: MdnsOptions) {
    this.#log = log;
    this.#bonjour = new Bonjour(network, (error: Error) =>
      log.warn({ err: error }, 'mDNS has a problem: this gateway may not be found by itself'),
    );
  }

  /** Announces these services, in place of the earlier ones. */
  announce(what: Announcement): void {
    const text = JSON.stringify(what);
    if (text === this.#told) return;
    this.#told = text;
    for (const { stop } of this.#services) (stop as () => void)();
    const host = `${hostLabel()}.local`;
    const publish = (name: string, type: string, port: number, txt?: Record<string, string>) => {
      const service = this.#bonjour.publish({ name, type, port, host, probe: false, ...(txt && { txt }) });
      service.on('error', (error: Error) =>
        this.#log.warn({ name, type, err: error }, 'mDNS: not announced'),
      );
      return service;
    };
    this.#services = [
      publish(hostLabel(), 'smb', what.smb),
      // One service for each export: NFS clients mount its `path`.
      ...what.exports.map((name) =>
        publish(`${name} on ${hostLabel()}`, 'nfs', what.nfs, { path: `/${name}` }),
      ),
    ];
    this.#log.info({ host, exports: what.exports }, 'announced by mDNS');
  }

  /**
   * Stops announcing.
   * @param goodbye whether to send a goodbye, so that clients remove the services from their lists at once; false if a successor
   *   process serves them.
   */
  close(goodbye: boolean): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, longestGoodbye);
      const end = () =>
        this.#bonjour.destroy(() => {
          clearTimeout(timer);
          resolve();
        });
      if (goodbye) this.#bonjour.unpublishAll(end);
      else end();
    });
  }
}

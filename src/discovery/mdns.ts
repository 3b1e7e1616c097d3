/**
 * Tells the local network what is served (multicast DNS, RFC 6762, and DNS-SD, RFC 6763), so that players and file managers
 * show it by themselves. Nothing is told unless the configuration asks for it.
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
  /** Replaced in tests: where to send and listen, in place of all network cards. */
  readonly network?: object;
}

/** How long a goodbye may take, ms. */
const longestGoodbye = 500;

/** The host's name without a domain, as mDNS wants it. */
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

  /** Tells this from now on, in place of what was told before. */
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
      // One service is one path: `path` is what clients of NFS mount.
      ...what.exports.map((name) =>
        publish(`${name} on ${hostLabel()}`, 'nfs', what.nfs, { path: `/${name}` }),
      ),
    ];
    this.#log.info({ host, exports: what.exports }, 'announced by mDNS');
  }

  /**
   * Ends.
   * @param goodbye says that the services are gone, so that they vanish from lists at once; not where a successor has them.
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

/** The server's current address. The name is resolved here, in the pod, as the host's resolver does not know Service names. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../log/index.ts';

const resolveTimeout = 5_000;

/** Resolves a name to its addresses, in the resolver's order. Rejects if there is none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export const systemResolver: Resolve = async (host) =>
  (await lookup(host, { all: true, order: 'ipv4first' })).map(({ address }) => address);

export class Address {
  readonly #host: string;
  readonly #resolve: Resolve;
  readonly #log: Logger;
  #all: readonly string[] = [];
  #problem: string | undefined;
  #pending: Promise<readonly string[]> | undefined;

  constructor(host: string, log: Logger, resolve: Resolve = systemResolver) {
    this.#host = host;
    this.#log = log;
    this.#resolve = isIP(host) === 0 ? resolve : () => Promise.resolve([host]);
  }

  /** The addresses of the last successful lookup. */
  get all(): readonly string[] {
    return this.#all;
  }

  get current(): string | undefined {
    return this.#all[0];
  }

  /** Whether the last lookup succeeded. */
  get leads(): boolean {
    return this.#problem === undefined && this.#all.length > 0;
  }

  /** Why the last lookup failed, for people. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Looks the name up again. After a failure the last addresses are kept. Never rejects. */
  async look(): Promise<void> {
    const enough = new AbortController();
    try {
      // A hung lookup holds a thread: start no other until it ends.
      this.#pending ??= this.#resolve(this.#host).finally(() => (this.#pending = undefined));
      const late = delay(resolveTimeout, undefined, { signal: enough.signal }).then(() => {
        throw new Error(`no answer in ${resolveTimeout / 1000} s`);
      });
      const found = await Promise.race([this.#pending, late]);
      if (found.join() !== this.#all.join())
        this.#log.info({ host: this.#host, addresses: found }, 'the address of the server');
      this.#all = found;
      this.#problem = undefined;
    } catch (error) {
      const reason = (error as Error).message;
      if (this.#problem === undefined)
        this.#log.warn({ host: this.#host, reason }, "cannot resolve the server's name");
      this.#problem = `cannot resolve the server's name: ${reason}`;
    } finally {
      enough.abort();
    }
  }
}

/** Upgrades without a gap: at SIGUSR2 the same command line is started anew with this process's listening sockets. */
import type { Logger } from '../log/index.ts';
import type { InheritedSockets } from './listeners.ts';
import { startSuccessor } from './successor.ts';

export interface TakeoverOptions {
  /** The sockets to hand over, once this process serves. */
  readonly sockets: () => Promise<InheritedSockets>;
  readonly log: Logger;
  readonly start?: typeof startSuccessor;
  /** Default: this process's own. */
  readonly pid?: number;
}

export class Takeover {
  /** Resolves when a successor serves in this process's place: time to finish and go. */
  readonly done: Promise<void>;
  readonly #options: TakeoverOptions;
  readonly #stop = new AbortController();
  #resolve: () => void = () => undefined;
  #busy = false;

  constructor(options: TakeoverOptions) {
    this.#options = options;
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }

  /** Tries once; a successor that does not come to serve changes nothing. Never rejects. */
  async begin(): Promise<void> {
    const { sockets, log, start = startSuccessor, pid = process.pid } = this.#options;
    const refusal = this.#busy
      ? 'one is under way'
      : pid === 1
        ? 'this is PID 1, and its end would end the container; start the container with an init that outlives it'
        : undefined;
    if (refusal !== undefined) {
      log.warn({ reason: refusal }, 'takeover refused');
      return;
    }
    this.#busy = true;
    log.info('takeover: starting the successor');
    try {
      const successor = await start({ sockets: await sockets(), signal: this.#stop.signal });
      log.info({ successor }, 'takeover: the successor serves, this process finishes what it has begun');
      this.#resolve();
    } catch (error) {
      this.#busy = false;
      const reason = (error as Error).message;
      log.error({ reason }, 'takeover failed: this process goes on serving');
    }
  }

  /** This process is asked to stop: no successor is wanted any more. */
  cancel(): void {
    this.#stop.abort();
  }
}

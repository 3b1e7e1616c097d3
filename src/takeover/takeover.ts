/** Upgrades without a gap: SIGUSR2 starts the same command line again with this process's listening sockets. */
import type { Logger } from '../log/index.ts';
import type { InheritedSockets } from './listeners.ts';
import { startSuccessor } from './successor.ts';

export interface TakeoverOptions {
  /** Resolves with the sockets to hand over, once this process serves. */
  readonly sockets: () => Promise<InheritedSockets>;
  readonly log: Logger;
  readonly start?: typeof startSuccessor;
  /** Default: the id of this process. */
  readonly pid?: number;
}

export class Takeover {
  /** Resolves when a successor serves in place of this process: time to drain and end. */
  readonly done: Promise<void>;
  readonly #options: TakeoverOptions;
  readonly #stop = new AbortController();
  #resolve: () => void = () => undefined;
  #busy = false;

  constructor(options: TakeoverOptions) {
    this.#options = options;
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }

  /** Tries once. When the successor fails to serve, this process continues as before. Never rejects. */
  async begin(): Promise<void> {
    const { sockets, log, start = startSuccessor, pid = process.pid } = this.#options;
    const refusal = this.#busy
      ? 'a takeover is already running'
      : pid === 1
        ? 'this is PID 1, so the container would end with it; start the container with an init'
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

  /** Cancels a takeover that is under way, because this process is asked to stop. */
  cancel(): void {
    this.#stop.abort();
  }
}

/**
 * Several children beside one gateway: started in their order, each once the mount of the one before is there; each started
 * again by itself; ended in the opposite order, since what came later may stand on what came before.
 */
import type { Logger } from '../log/index.ts';
import { ChildSupervisor, type SpawnChild } from './child.ts';
import type { RestartPolicy } from './policies.ts';

export interface ChildPlan {
  /** In the log; undefined for the only one. */
  readonly name?: string;
  readonly spawn: SpawnChild;
  readonly restart: RestartPolicy;
  readonly afterCrash?: SpawnChild | undefined;
  /** Absolute path without symlinks: the next one is started when something new is mounted here. */
  readonly mount?: string | undefined;
}

export interface ChildrenOptions {
  /** At least one. */
  readonly children: readonly ChildPlan[];
  /** From the signal that asks them to end to SIGKILL, for all together, in ms. */
  readonly graceMs: number;
  /** What tells one mount at a path from another; undefined when there is none. */
  readonly mountAt?: (path: string) => Promise<unknown>;
  readonly log: Logger;
}

/** How often a mount is looked for, and how long the next child waits for it, in ms. */
const mountInterval = 100;
export const mountPatience = 60_000;

/** Keeps no process alive. */
const sleep = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms).unref());

interface Started {
  readonly supervisor: ChildSupervisor;
  /** Undefined as long as it runs or is to be started again. */
  code: number | undefined;
}

export class Children {
  /**
   * Resolves with the exit code once all have ended for good, or one cannot be run at all: that of the first in the list that
   * did not end with 0.
   */
  readonly ended: Promise<number>;
  /** Resolves when the first child has been started, or is to be started again. */
  readonly begun: Promise<void>;
  readonly #options: ChildrenOptions;
  readonly #started: Started[] = [];
  #resolveEnded: (code: number) => void = () => undefined;
  #resolveBegun: () => void = () => undefined;
  #isStopping = false;

  /** Starts the first child at once. */
  constructor(options: ChildrenOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    this.begun = new Promise((resolve) => (this.#resolveBegun = resolve));
    void this.#startFrom(0);
  }

  /** Passes a signal on. Returns whether there was a child to have it. */
  signal(name: NodeJS.Signals): boolean {
    return this.#started.map(({ supervisor }) => supervisor.signal(name)).includes(true);
  }

  /**
   * Ends all for good, the last one first: `signal`, and SIGKILL when the grace is over. Resolves with the exit code. Bounded by the
   * grace and 5 s.
   */
  async stop(signal: NodeJS.Signals): Promise<number> {
    this.#isStopping = true;
    const until = performance.now() + this.#options.graceMs;
    const rest = () => Math.max(0, until - performance.now());
    const stopping: Promise<number>[] = [];
    for (let left = this.#started.length; left > 0; left--) {
      const stopped = this.#started[left - 1]!.supervisor.stop(signal, rest());
      stopping.push(stopped);
      // One that takes long leaves the others their share of the time.
      await Promise.race([stopped, sleep(rest() / left)]);
    }
    await Promise.all(stopping);
    return this.#code;
  }

  /** Ends all without grace. */
  kill(): void {
    this.#isStopping = true;
    for (const { supervisor } of this.#started) supervisor.kill();
  }

  get #code(): number {
    return this.#started.find(({ code }) => (code ?? 0) !== 0)?.code ?? 0;
  }

  async #startFrom(index: number): Promise<void> {
    const { children } = this.#options;
    const plan = children[index];
    if (!plan || this.#isStopping) return;
    const before = plan.mount === undefined ? undefined : await this.#mountAt(plan.mount);
    const started = this.#start(plan);
    if (index + 1 === children.length) return;
    if (plan.mount !== undefined) await this.#whenMounted(started, plan.mount, before);
    await this.#startFrom(index + 1);
  }

  #start({ name, spawn, restart, afterCrash }: ChildPlan): Started {
    const { graceMs, log } = this.#options;
    const named = name === undefined ? log : log.child({ child: name });
    const supervisor = new ChildSupervisor({ spawn, restart, afterCrash, graceMs, log: named });
    const started: Started = { supervisor, code: undefined };
    this.#started.push(started);
    void supervisor.begun.then(this.#resolveBegun);
    void supervisor.ended.then((code) => {
      started.code = code;
      const isLast = this.#started.length === this.#options.children.length;
      const allEnded = isLast && this.#started.every((one) => one.code !== undefined);
      // What cannot be run at all is a mistake in the configuration, and no child that has failed.
      if (allEnded || !supervisor.hasRun) this.#resolveEnded(supervisor.hasRun ? this.#code : code);
    });
    return started;
  }

  #mountAt(path: string): Promise<unknown> {
    return this.#options.mountAt?.(path).catch(() => undefined) ?? Promise.resolve(undefined);
  }

  /** Waits until something else is mounted than before, the child has ended, or that takes too long. */
  async #whenMounted(started: Started, path: string, before: unknown): Promise<void> {
    const until = performance.now() + mountPatience;
    while (!this.#isStopping && started.code === undefined) {
      const now = await this.#mountAt(path);
      if (now !== undefined && now !== before) return;
      if (performance.now() >= until) {
        this.#options.log.warn({ mount: path }, 'nothing is mounted there yet: starting the next child');
        return;
      }
      await sleep(mountInterval);
    }
  }
}

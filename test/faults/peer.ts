/** A server other than Holdfast: a process group, recognised by its ports. */
import { execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { LogLine } from '../kit/gateway.ts';
import type { Server } from './server.ts';
import { last } from './time.ts';

const START_MS = 30_000;
const STOP_MS = 20_000;
/** Ms to wait after SIGKILL: a process that waits for a FUSE daemon ends only after the daemon. */
const KILL_MS = 30_000;
const POLL_MS = 50;

/** Whether something listens at `port` in a network namespace. */
function listening(netns: string, port: number): boolean {
  return execFileSync('ss', ['-N', netns, '-Hltn', `sport = :${port}`]).length > 0;
}

/** Whether the process belongs to the group and is not just a zombie. */
function isMember(pid: string, group: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, , of] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(of) !== group) return false;
    // The main thread may have ended (Z) while another thread is stuck.
    return state !== 'Z' || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}

const running = new Set<Peer>();

export class Peer implements Server {
  readonly pid: number;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #output: string[] = [];

  private constructor([program, ...args]: readonly string[]) {
    // A new process group, as smbd forks a child for each connection.
    this.#child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.pid = this.#child.pid!;
    running.add(this);
    for (const stream of [this.#child.stdout, this.#child.stderr])
      createInterface({ input: stream }).on('line', (line) => this.#output.push(line));
  }

  /** Starts the server in a network namespace. Resolves when it listens at all these ports. */
  static async start(command: readonly string[], netns: string, listens: readonly number[]): Promise<Peer> {
    const peer = new Peer(['nsenter', `--net=/run/netns/${netns}`, ...command]);
    try {
      await peer.#until('did not listen', START_MS, () => {
        if (peer.#ended) throw new Error(`it ended at its start\n${peer.dump()}`);
        return listens.every((port) => listening(netns, port));
      });
    } catch (error) {
      await peer.kill();
      throw error;
    }
    return peer;
  }

  async stop(timeoutMs = STOP_MS): Promise<number | null> {
    if (!this.#ended) this.#child.kill('SIGTERM');
    try {
      await this.#until('did not stop', timeoutMs, () => this.#ended);
      this.#signal('SIGTERM');
      await this.#until('did not stop', timeoutMs, () => this.#isGone);
    } catch (error) {
      await this.kill();
      throw error;
    }
    running.delete(this);
    // smbd sends SIGTERM to its whole group and is itself ended by it: a normal end.
    return this.#child.signalCode === 'SIGTERM' ? 0 : this.#child.exitCode;
  }

  async kill(): Promise<void> {
    if (!running.has(this)) return;
    this.#signal('SIGKILL');
    await this.#until('cannot be killed', KILL_MS, () => this.#isGone);
    running.delete(this);
  }

  /** A synchronous kill, for the process's exit hook. */
  killNow(): void {
    this.#signal('SIGKILL');
  }

  dump(): string {
    return this.#output.join('\n');
  }

  errors(): readonly LogLine[] {
    return [];
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get #isGone(): boolean {
    return (
      this.#ended && !readdirSync('/proc').some((name) => /^\d+$/.test(name) && isMember(name, this.pid))
    );
  }

  #signal(name: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, name);
    } catch {
      // No process of the group is left.
    }
  }

  async #until(complaint: string, ms: number, reached: () => boolean): Promise<void> {
    const begun = performance.now();
    while (!reached()) {
      if (performance.now() - begun > ms)
        throw new Error(`the server ${complaint} within ${ms} ms\n${this.dump()}`);
      await last(POLL_MS);
    }
  }
}

process.on('exit', () => {
  for (const peer of running) peer.killNow();
});

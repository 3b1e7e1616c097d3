import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const mainPath = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const START_MS = 20_000;
const STOP_MS = 20_000;

export type LogLine = Readonly<Record<string, unknown>>;

export interface Listener {
  readonly host: string;
  readonly port: number;
}

export interface GatewayOptions {
  /** Arguments of `node dist/main.js`: `['serve', path, …]`. */
  readonly args: readonly string[];
  /** Protocols to wait for until they listen. Default: nfs and smb. */
  readonly protocols?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A name below /run/netns to start in; the mount namespace stays the same, so FUSE mounts made later are seen. */
  readonly netns?: string;
  /** A command that starts it in other namespaces instead. It must exec the gateway, as nsenter does. */
  readonly enter?: readonly string[];
  /** Default 20 s. */
  readonly startTimeoutMs?: number;
}

const running = new Set<Gateway>();
/** Where gateways without `state` keep data for the next gateway of the same test file. */
const runtimeFolder = mkdtempSync(join(tmpdir(), 'holdfast-runtime-'));

/** A gateway in a separate process, started from dist/. */
export class Gateway {
  /** Every JSON line of its log so far. */
  readonly log: LogLine[] = [];
  /** Its other output: stderr, and lines that are not JSON. */
  readonly text: string[] = [];
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #events = new EventEmitter();
  /** Process id of the successor that serves; undefined while the first process does. */
  #successor: number | undefined;
  #closed = false;

  private constructor(options: GatewayOptions) {
    const command = [...(options.enter ?? []), process.execPath, mainPath, ...options.args];
    if (options.netns !== undefined) command.unshift('nsenter', `--net=/run/netns/${options.netns}`);
    this.#events.setMaxListeners(0);
    this.#child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, XDG_RUNTIME_DIR: runtimeFolder, ...options.env },
    });
    running.add(this);
    // Unlike 'exit', 'close' comes after the last line of the log.
    this.#child.on('close', () => {
      this.#closed = true;
      running.delete(this);
      this.#events.emit('line');
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#onLine(line));
    createInterface({ input: this.#child.stderr }).on('line', (line) => this.text.push(line));
  }

  /** Resolves when all the wanted protocols listen; fails with the log if it ends or takes too long. */
  static async start(options: GatewayOptions): Promise<Gateway> {
    if (!existsSync(mainPath)) throw new Error(`${mainPath} is missing: run "npm run build" first`);
    const gateway = new Gateway(options);
    const wanted = options.protocols ?? ['nfs', 'smb'];
    try {
      for (const protocol of wanted) {
        await gateway.whenLogged(
          (line) => line['msg'] === 'listening' && line['protocol'] === protocol,
          options.startTimeoutMs ?? START_MS,
        );
      }
    } catch (error) {
      await gateway.kill();
      throw error;
    }
    return gateway;
  }

  /** Id of the serving process. */
  get pid(): number {
    return this.#successor ?? this.#child.pid!;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** The latest listener of `protocol`, with the real port even if port 0 is configured. */
  listener(protocol: string): Listener {
    const line = this.log.findLast((entry) => entry['msg'] === 'listening' && entry['protocol'] === protocol);
    if (!line) throw new Error(`nothing listens for ${protocol}\n${this.dump()}`);
    return { host: String(line['host']), port: Number(line['port']) };
  }

  port(protocol: string): number {
    return this.listener(protocol).port;
  }

  /** The first log line, past or future, that `matches`. Fails if the gateway ends or after `timeoutMs`. */
  async whenLogged(matches: (line: LogLine) => boolean, timeoutMs = START_MS): Promise<LogLine> {
    const signal = AbortSignal.timeout(timeoutMs);
    for (let seen = 0; ;) {
      for (; seen < this.log.length; seen++) if (matches(this.log[seen]!)) return this.log[seen]!;
      if (this.#closed) throw new Error(`the gateway has ended\n${this.dump()}`);
      try {
        await once(this.#events, 'line', { signal });
      } catch {
        throw new Error(`the gateway did not log what was expected within ${timeoutMs} ms\n${this.dump()}`);
      }
    }
  }

  /** Makes the gateway start a successor and pass it the sockets. Resolves when the old process has ended. */
  async takeOver(): Promise<void> {
    const serving = this.pid;
    process.kill(serving, 'SIGUSR2');
    const line = await this.whenLogged(({ pid, successor }) => pid === serving && successor !== undefined);
    await this.whenLogged(({ pid, msg }) => pid === serving && msg === 'stopped', 40_000);
    this.#successor = Number(line['successor']);
  }

  /**
   * Sends SIGTERM. If the process has not ended after `timeoutMs`, kills it and rejects. Resolves with the exit code; null if
   * a signal ended it or if it is a successor.
   */
  async stop(timeoutMs = STOP_MS): Promise<number | null> {
    if (!this.#ended) {
      const gone = this.#gone(AbortSignal.timeout(timeoutMs));
      process.kill(this.pid, 'SIGTERM');
      try {
        await gone;
      } catch {
        await this.kill();
        throw new Error(`the gateway did not stop within ${timeoutMs} ms\n${this.dump()}`);
      }
    }
    return this.#successor === undefined ? this.#child.exitCode : null;
  }

  /** SIGKILL: a crash. */
  async kill(): Promise<void> {
    if (this.#ended) return;
    const gone = this.#gone();
    process.kill(this.pid, 'SIGKILL');
    await gone;
  }

  /** Waits for the end. A successor is not a child of this process, but it holds the output pipe open while it lives. */
  #gone(signal?: AbortSignal): Promise<unknown> {
    const event = this.#successor === undefined ? 'exit' : 'close';
    return once(this.#child, event, signal && { signal });
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  /** The log for an assertion's message. */
  dump(): string {
    return [...this.log.map((line) => JSON.stringify(line)), ...this.text].join('\n');
  }

  /** Errors and worse (pino's level 50). */
  errors(): LogLine[] {
    return this.log.filter((line) => Number(line['level']) >= 50);
  }

  /** A synchronous kill, for the process's exit hook. */
  killNow(): void {
    if (!this.#ended) process.kill(this.pid, 'SIGKILL');
  }

  get #ended(): boolean {
    if (this.#successor !== undefined) return this.#closed;
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #onLine(line: string): void {
    try {
      this.log.push(JSON.parse(line) as LogLine);
    } catch {
      this.text.push(line);
    }
    this.#events.emit('line');
  }
}

process.on('exit', () => {
  for (const gateway of running) gateway.killNow();
});
afterAll(() => rmSync(runtimeFolder, { recursive: true }));

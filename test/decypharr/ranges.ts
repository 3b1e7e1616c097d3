/** Readers that seek and pause on command: over libnfs, over libsmbclient, and local ones on the daemon's mount. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { firstDifference } from '../../src/demo/content.ts';
import { compiled } from '../faults/compile.ts';
import { seedOf } from './library.ts';
import { ports, type Place } from './place.ts';
import { LOOPBACK } from './sandbox.ts';

/** How a reader accesses the tree. */
export type Way = 'local' | 'smb' | 'nfs';
export const ways: readonly Way[] = ['local', 'smb', 'nfs'];

const CALL_MS = 200_000;
const library = (name: string) => ['-Wl,--no-as-needed', `-l${name}`];
const flags: Readonly<Record<Way, readonly string[]>> = {
  local: [],
  smb: ['-DOVER_SMB', ...library('smbclient')],
  nfs: ['-DOVER_NFS', ...library('nfs')],
};

/** The client reported an error. */
export class ReaderError extends Error {
  override readonly name = 'ReaderError';
}

export class RangeReader {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #events = new EventEmitter();
  #received = Buffer.alloc(0);
  #ended = false;
  #path = '';

  constructor(place: Place, way: Way) {
    const program = compiled(fileURLToPath(new URL('reader.c', import.meta.url)), flags[way]);
    const target = {
      local: [place.daemon.mountpoint, '-', '-'],
      smb: [LOOPBACK, String(ports.smb), 'dfs'],
      nfs: [LOOPBACK, String(ports.nfs), 'dfs'],
    }[way];
    const [nsenter, ...enter] = place.sandbox.enter;
    this.#child = spawn(nsenter!, [...enter, program, ...target], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdin.on('error', () => undefined);
    this.#child.stdout.on('data', (part: Buffer) => {
      this.#received = Buffer.concat([this.#received, part]);
      this.#events.emit('more');
    });
    this.#child.on('close', () => {
      this.#ended = true;
      this.#events.emit('more');
    });
  }

  /** Opens a path of the tree. Rejects with the client's message. */
  async open(path: string): Promise<void> {
    this.#path = path;
    await this.#ask(`open ${path}`);
  }

  /** Reads and returns the milliseconds that it took. Rejects unless exactly the file's bytes arrive. */
  async read(offset: number, length: number): Promise<number> {
    const [bytes, microseconds] = await this.#ask(`read ${String(offset)} ${String(length)}`);
    await this.#until(() => this.#received.length >= bytes!);
    const got = this.#received.subarray(0, bytes);
    this.#received = this.#received.subarray(bytes);
    const wrong = firstDifference(seedOf(this.#path), offset, got);
    const where = `${this.#path} at ${String(offset)}`;
    if (wrong >= 0) throw new Error(`${where}: wrong bytes from ${String(wrong)} on`);
    if (bytes !== length) throw new Error(`${where}: ${String(bytes)} of ${String(length)} bytes`);
    return microseconds! / 1000;
  }

  async close(): Promise<void> {
    await this.#ask('close');
  }

  async end(): Promise<void> {
    if (this.#ended) return;
    const closed = once(this.#child, 'close');
    this.#child.stdin.end();
    this.#child.kill('SIGKILL');
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #ask(line: string): Promise<number[]> {
    this.#child.stdin.write(`${line}\n`);
    await this.#until(() => this.#received.includes(10));
    const end = this.#received.indexOf(10);
    const [word, ...rest] = this.#received.subarray(0, end).toString().split(' ');
    this.#received = this.#received.subarray(end + 1);
    if (word !== 'ok') throw new ReaderError(`${line}: ${rest.join(' ')}`);
    return rest.map(Number);
  }

  async #until(isTrue: () => boolean): Promise<void> {
    const signal = AbortSignal.timeout(CALL_MS);
    while (!isTrue()) {
      if (this.#ended) throw new Error('the reader has ended');
      await once(this.#events, 'more', { signal });
    }
  }
}

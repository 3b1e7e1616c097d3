/** Clients of an export with the same interface for both protocols. The zoo compares their results with a local read. */
import { execFile } from 'node:child_process';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { promisify } from 'node:util';
import { fsstatShape } from '../../protocols/nfs-rpc/src/nfs3/fsstat.ts';
import { readlinkShape } from '../../protocols/nfs-rpc/src/nfs3/readlink.ts';
import { NfsClient } from '../kit/nfs.ts';
import { smbclient, type Outcome } from '../kit/smb.ts';
import { temporaryFolder } from './daemon.ts';

const run = promisify(execFile);

/** Time limit of one request: longer than the gateway's deadline for one entry, shorter than that for a file. */
export const CLIENT_TIMEOUT_MS = 20_000;
const READ_BYTES = 1024 * 1024;

export interface Entry {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  readonly size: number;
}

export interface Consumer {
  readonly protocol: 'nfs' | 'smb';
  /** Sorted by name. */
  list(path: string): Promise<Entry[]>;
  /** The modification time in whole seconds. */
  mtime(path: string): Promise<number>;
  whole(path: string): Promise<Buffer>;
  /** Reads from `offset` to the end. */
  tail(path: string, offset: number): Promise<Buffer>;
  /** Reads a range; undefined if the client cannot. */
  range?(path: string, offset: number, length: number): Promise<Buffer>;
  readlink(path: string): Promise<string>;
  /** Size and free space of the file system in bytes. */
  space(): Promise<{ total: number; available: number }>;
}

const toBytes = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
const toText = (bytes: string) => Buffer.from(bytes, 'latin1').toString('utf8');
const byName = (a: Entry, b: Entry) => (a.name < b.name ? -1 : 1);
const nfsTypes: Readonly<Record<number, Entry['type']>> = { 1: 'file', 2: 'directory', 5: 'symlink' };

/** An NFS client: the protocol package's codecs for single requests, libnfs for whole files. */
export class NfsConsumer implements Consumer {
  readonly protocol = 'nfs';
  readonly client: NfsClient;
  readonly root: Buffer;
  readonly #port: number;
  readonly #closing = new AbortController();

  private constructor(port: number, client: NfsClient, root: Buffer) {
    this.#port = port;
    this.client = client;
    this.root = root;
  }

  static async connect(port: number): Promise<NfsConsumer> {
    const client = await NfsClient.connect(port, CLIENT_TIMEOUT_MS);
    return new NfsConsumer(port, client, await client.mount('/dfs'));
  }

  close(): void {
    this.client.destroy();
    this.#closing.abort();
  }

  handle(path: string): Promise<Buffer> {
    return this.client.walk(this.root, toBytes(path));
  }

  /** All entries sorted by name, including duplicates. Names that are not UTF-8 contain U+FFFD. */
  async list(path: string): Promise<Entry[]> {
    return (await this.rawEntries(path))
      .map(({ name, ...rest }) => ({ name: toText(name), ...rest }))
      .sort(byName);
  }

  /** All entries in the server's order, with names as bytes (one character each), cookies and handles. */
  async rawEntries(path: string) {
    const directory = await this.handle(path);
    const all = [];
    for (let cookie = 0; ;) {
      const { entries, eof } = await this.client.readdirplus(directory, cookie);
      for (const { name, cookie: at, attributes, handle } of entries) {
        cookie = at;
        if (name === '.' || name === '..') continue;
        const type = nfsTypes[attributes?.type ?? 0] ?? ('other' as const);
        all.push({ name, cookie, handle, type, size: attributes?.size ?? -1 });
      }
      if (eof || entries.length === 0) return all;
    }
  }

  async attributes(path: string) {
    return (await this.client.getattr(await this.handle(path))).attributes;
  }

  async mtime(path: string): Promise<number> {
    return (await this.attributes(path)).mtime.seconds;
  }

  async whole(path: string): Promise<Buffer> {
    const query = `version=3&nfsport=${String(this.#port)}&mountport=${String(this.#port)}`;
    const url = `nfs://127.0.0.1/dfs${path}?${query}`;
    // libnfs would reconnect to a gateway that has ended, for good and without a pause.
    const ending = {
      timeout: CLIENT_TIMEOUT_MS,
      killSignal: 'SIGKILL',
      signal: this.#closing.signal,
    } as const;
    const options = { encoding: 'buffer', maxBuffer: 2 ** 30, ...ending } as const;
    return (await run('nfs-cat', [url], options)).stdout;
  }

  tail(path: string, offset: number): Promise<Buffer> {
    return this.range(path, offset, Infinity);
  }

  /** Sends READs of up to 1 MiB until `length` bytes or the end of the file. */
  async range(path: string, offset: number, length: number): Promise<Buffer> {
    const handle = await this.handle(path);
    const parts: Buffer[] = [];
    for (let done = 0; done < length;) {
      const { data, eof } = await this.client.read(
        handle,
        offset + done,
        Math.min(READ_BYTES, length - done),
      );
      parts.push(data);
      done += data.length;
      if (eof) break;
      if (data.length === 0)
        throw new Error(`READ of ${path} at ${String(offset + done)}: no bytes and no end`);
    }
    return Buffer.concat(parts);
  }

  async readlink(path: string): Promise<string> {
    const { target } = await this.client.call(5, readlinkShape, { symlink: await this.handle(path) });
    return toText(target);
  }

  async space() {
    const { totalBytes, availableBytes } = await this.client.call(18, fsstatShape, { root: this.root });
    return { total: totalBytes, available: availableBytes };
  }
}

/** An SMB client: smbclient. */
export class SmbConsumer implements Consumer {
  readonly protocol = 'smb';
  readonly #port: number;
  readonly #folder = temporaryFolder('smb');

  constructor(port: number) {
    this.#port = port;
  }

  close(): void {
    rmSync(this.#folder, { recursive: true });
  }

  async list(path: string): Promise<Entry[]> {
    const { stdout } = await this.command(`ls "${windows(path)}\\*"`);
    const entries: Entry[] = [];
    for (const line of stdout.split('\n')) {
      const match = /^ {2}(.+?) +([A-Za-z]*) +(-?\d+) {2}\S{3} \S{3} [ \d]\d \d\d:\d\d:\d\d -?\d+$/.exec(
        line,
      );
      if (!match || match[1] === '.' || match[1] === '..') continue;
      const [, name, attributes, size] = match as unknown as [string, string, string, string];
      const type = attributes.includes('D') ? 'directory' : attributes.includes('r') ? 'symlink' : 'file';
      entries.push({ name, type, size: Number(size) });
    }
    return entries.sort(byName);
  }

  async mtime(path: string): Promise<number> {
    const { stdout } = await this.command(`allinfo "${windows(path)}"`);
    const text = /^write_time: +(.*)$/m.exec(stdout)?.[1];
    if (text === undefined) throw new Error(`no write_time in ${stdout}`);
    return Date.parse(text) / 1000;
  }

  async whole(path: string): Promise<Buffer> {
    const target = join(this.#folder, 'whole');
    rmSync(target, { force: true });
    await this.command(`get "${windows(path)}" "${target}"`);
    return readFileSync(target);
  }

  /** smbclient cannot read at an offset, but it can resume a partial copy. */
  async tail(path: string, offset: number): Promise<Buffer> {
    const target = join(this.#folder, 'tail');
    writeFileSync(target, '');
    truncateSync(target, offset);
    await this.command(`reget "${windows(path)}" "${target}"`);
    return readFileSync(target).subarray(offset);
  }

  async readlink(path: string): Promise<string> {
    const { stdout } = await this.command(`allinfo "${windows(path)}"`);
    const target = /^symlink: subst=\[(.*?)\]/m.exec(stdout)?.[1];
    if (target === undefined) throw new Error(`no symlink in ${stdout}`);
    return posix.normalize(target.replaceAll('\\', '/'));
  }

  async space() {
    const { stdout } = await this.command('ls');
    const match = /(\d+) blocks of size (\d+)\. (\d+) blocks available/.exec(stdout);
    if (!match) throw new Error(`no df in ${stdout}`);
    const [, blocks, size, available] = match.map(Number) as [number, number, number, number];
    return { total: blocks * size, available: available * size };
  }

  /** Rejects with smbclient's output if it fails. */
  async command(command: string): Promise<Outcome> {
    const options = ['--timeout', String(CLIENT_TIMEOUT_MS / 1000)];
    const outcome = await smbclient({ port: this.#port, share: 'dfs', command, options });
    if (outcome.code === 0 && !/\bNT_STATUS_/.test(outcome.text)) return outcome;
    throw new Error(`smbclient ${command}: ${outcome.text.trim()} (exit ${String(outcome.code)})`);
  }
}

const windows = (path: string) => path.replace(/^\//, '').replaceAll('/', '\\');

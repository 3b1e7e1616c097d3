import { execFile, execFileSync, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { boot } from './kernels-boot.ts';
import { keepsClosedFiles, kernels, type Kernel, type KernelWish } from './kernels.ts';
import { leftoverNamespaces, removeNamespace } from './namespaces.ts';

/** The host side of the guest's network, in the client's namespace. Servers listen here. */
export const HOST_ADDRESS = '10.99.0.1';
export const GUEST_ADDRESS = '10.99.0.2';
const NAME_PREFIX = 'holdfast-';
const BOOT_MS = 30_000;
const RUN_MS = 60_000;
const OFF_MS = 2000;
const PING_SECONDS = 5;

export interface GuestResult {
  /** The shell's exit code; above 128: killed by the signal `code - 128`. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs in the guest. */
export interface GuestJob {
  readonly result: Promise<GuestResult>;
  /** Resolves when the script has called `mark NAME`; rejects if it ends without. */
  marked(name: string): Promise<void>;
  /** Signals the script and all its children. A process stuck in the kernel may ignore even KILL. */
  kill(signal?: 'TERM' | 'KILL' | 'INT'): void;
}

export interface KernelClientOptions {
  /** The guest's memory (its page cache as well) in MiB. Default 512. */
  readonly memoryMib?: number;
  /** The kernel, by age or name, or one chosen before. Default: the oldest on this machine that boots. */
  readonly kernel?: KernelWish | Kernel;
}

export interface NfsMount {
  readonly port: number;
  /** Default: the NFS port. */
  readonly mountPort?: number;
  readonly export: string;
  readonly mountpoint: string;
  /** Added to vers=3, proto=tcp, nolock and the ports; e.g. `soft,timeo=10,retrans=2`. */
  readonly options?: string;
}

export interface CifsMount {
  readonly port: number;
  readonly share: string;
  readonly mountpoint: string;
  /** Default `guest,username=guest,vers=3.1.1`. */
  readonly options?: string;
}

const live = new Set<KernelClient>();
let prepared = false;

// To fetch a kernel may take minutes. Do it at import, so that the time does not count towards a test's timeout.
await kernels.get().catch(() => undefined);

/**
 * A real Linux kernel as client: user-mode-linux in a separate network namespace, whose host side is {@link HOST_ADDRESS}.
 * Servers for it must be started in {@link netns}.
 */
export class KernelClient {
  /** The name below /run/netns. */
  readonly netns: string;
  /** A folder that the guest sees as /host. */
  readonly folder: string;
  readonly kernel: Kernel;
  readonly #events = new EventEmitter();
  readonly #console: string[] = [];
  #kernel: ChildProcess | undefined;
  #lines: Duplex | undefined;
  #lastJob = 0;

  private constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.folder = mkdtempSync(join(tmpdir(), `${NAME_PREFIX}uml-`));
    this.netns = `${NAME_PREFIX}${String(process.pid)}-${this.folder.slice(-6)}`;
    this.#events.setMaxListeners(0);
    live.add(this);
  }

  /** Resolves when the guest's shell takes commands, after about three seconds. Needs root. */
  static async start(options: KernelClientOptions = {}): Promise<KernelClient> {
    prepareOnce();
    const { kernel, memoryMib = 512 } = options;
    const client = new KernelClient(typeof kernel === 'object' ? kernel : await kernels.get(kernel));
    try {
      client.#makeNetwork();
      client.#boot(memoryMib);
      await client.#when('ready', BOOT_MS);
    } catch (error) {
      await client.dispose();
      throw error;
    }
    return client;
  }

  /** Runs a shell script in the guest. Fails, and kills it, after `timeoutMs` (default 60 s). */
  async run(script: string, timeoutMs = RUN_MS): Promise<GuestResult> {
    const job = this.spawn(script);
    let timer: NodeJS.Timeout | undefined;
    const overdue = new AbortController();
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        overdue.abort();
        job.kill('KILL');
        void this.whyLate().then((why) =>
          reject(new Error(`not done after ${timeoutMs} ms: ${script}\n${why}`)),
        );
      }, timeoutMs);
    });
    try {
      const result = await Promise.race([job.result, late]);
      // A killed job has a result too, which may come before the reason is known.
      return overdue.signal.aborted ? await late : result;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The standard output of a script that must succeed. */
  async output(script: string, timeoutMs = RUN_MS): Promise<string> {
    const { code, stdout, stderr } = await this.run(script, timeoutMs);
    if (code !== 0) throw new Error(`exit code ${code}: ${script}\n${stderr}\n${this.console()}`);
    return stdout;
  }

  /** Starts a shell script in parallel to others. It may call `mark NAME` and `await_flag NAME`. */
  spawn(script: string): GuestJob {
    const id = String(++this.#lastJob);
    const file = (suffix: string) => join(this.folder, `${id}.${suffix}`);
    writeFileSync(file('sh'), `${script}\n`);
    const done = this.#when(`done ${id} `);
    this.#tell(`run ${id}`);
    const result = done.then(async (line) => {
      const [stdout, stderr] = await Promise.all([
        readFile(file('out'), 'utf8'),
        readFile(file('err'), 'utf8'),
      ]);
      for (const suffix of ['sh', 'out', 'err']) rmSync(file(suffix));
      return { code: Number(line.split(' ')[2]), stdout, stderr };
    });
    // No unhandled rejection: the caller may await the result later, or never once the client is disposed.
    result.catch(() => undefined);
    const marks = new Map<string, Promise<void>>();
    const seen = new Set<string>();
    this.#events.on('line', (line: string) => {
      if (line.startsWith(`mark ${id} `)) seen.add(line.split(' ')[2]!);
    });
    return {
      result,
      marked: (name) => {
        const ended = done.then((line) => {
          if (!seen.has(name)) throw new Error(`ended (${line}) without mark ${name}`);
        });
        const marked =
          marks.get(name) ??
          (seen.has(name) ? Promise.resolve() : this.#when(`mark ${id} ${name}`).then(() => undefined));
        marks.set(name, marked);
        return Promise.race([marked, ended]);
      },
      kill: (signal = 'TERM') => this.#tell(`kill ${id} ${signal}`),
    };
  }

  /** Continues scripts that wait in `await_flag NAME`. */
  flag(name: string): void {
    this.#tell(`flag ${name}`);
  }

  /** Resolves when the guest can connect to `port` of the host side. */
  async whenListening(port: number, timeoutMs = BOOT_MS): Promise<void> {
    await this.output(`until nc ${HOST_ADDRESS} ${port} -e true 2>/tmp/nc; do sleep 0.05; done`, timeoutMs);
  }

  /** Mounts an NFSv3 export of a server in {@link netns}. Fails with the guest's message. */
  async mountNfs(mount: NfsMount, timeoutMs = RUN_MS): Promise<void> {
    const mountPort = mount.mountPort ?? mount.port;
    const options = [
      `vers=3,proto=tcp,addr=${HOST_ADDRESS},port=${mount.port},nolock`,
      `mountaddr=${HOST_ADDRESS},mountport=${mountPort},mountproto=tcp,mountvers=3`,
      ...(mount.options === undefined ? [] : [mount.options]),
    ];
    const source = `${HOST_ADDRESS}:${mount.export}`;
    await this.#mount('nfs', source, mount.mountpoint, options.join(','), timeoutMs);
  }

  /** Mounts a share of a server in {@link netns}. Fails with the guest's message. */
  async mountCifs(mount: CifsMount, timeoutMs = RUN_MS): Promise<void> {
    const options = mount.options ?? 'guest,username=guest,vers=3.1.1';
    const source = `//${HOST_ADDRESS}/${mount.share}`;
    await this.#mount(
      'cifs',
      source,
      mount.mountpoint,
      `ip=${HOST_ADDRESS},port=${mount.port},${options}`,
      timeoutMs,
    );
  }

  /**
   * Unmounts a cifs share when no request is in flight. Since the change "open files should not hold ref on superblock", an unmount
   * does not wait for read-ahead: when its answer comes, Linux 6.1.176 panics in cifs_readv_complete, after "Dentry still in use".
   * (The same fault for closes was fixed in 2026: "Fix busy dentry used after unmounting".) A closed file with reads in flight
   * stays in the list of open files. On kernels with deferred close, one remaining reference is not a reader.
   */
  async umountCifs(mountpoint: string): Promise<void> {
    const idle = keepsClosedFiles(this.kernel) ? 1 : 0;
    const isIdle = `awk '!/^#/ && $5 > ${idle} { exit 1 }' /proc/fs/cifs/open_files`;
    const isQuiet = `! grep -q State: /proc/fs/cifs/DebugData`;
    await this.output(`until ${isIdle} && ${isQuiet}; do usleep 5000; done; umount ${mountpoint}`);
  }

  /** A prefix for a command that makes it run in the client's network namespace. */
  get enter(): [string, string] {
    return ['nsenter', `--net=/run/netns/${this.netns}`];
  }

  /** The last lines of the guest's kernel log. */
  console(lines = 40): string {
    return this.#console.slice(-lines).join('\n');
  }

  /**
   * Whether packets reach the guest and come back. User-mode-linux may lose its network under load and never recovers (its
   * driver loops on epoll_ctl = ENOENT). Then no server can reach it, and test results are meaningless.
   */
  async hasNetwork(): Promise<boolean> {
    // Nothing listens at the discard port, so a reachable guest refuses the connection.
    const knock = ['timeout', String(PING_SECONDS), 'bash', '-c', `: </dev/tcp/${GUEST_ADDRESS}/9`];
    const [nsenter, namespace] = this.enter;
    return await promisify(execFile)(nsenter, [namespace, ...knock]).then(
      () => true,
      (error: unknown) => (error as { stderr: string }).stderr.includes('refused'),
    );
  }

  /** For the message of a timeout: whether the guest has lost its network, and its kernel log. */
  async whyLate(): Promise<string> {
    const lost = (await this.hasNetwork())
      ? ''
      : "the guest has lost its network: the fault is user-mode-linux's, not the server's\n";
    return lost + this.console();
  }

  /** Ends the guest and all processes in its namespace, and removes its folder and namespace. Safe to call again. */
  async dispose(): Promise<void> {
    const kernel = this.#kernel;
    if (live.has(this) && kernel && kernel.exitCode === null && kernel.signalCode === null) {
      // A killed kernel leaves its processes as zombies; one that halts reaps them.
      const off = once(kernel, 'exit', { signal: AbortSignal.timeout(OFF_MS) });
      this.#tell('off');
      await off.catch(() => undefined);
    }
    this.disposeNow();
  }

  /** A synchronous {@link dispose}, for the process's exit hook. */
  disposeNow(): void {
    if (!live.delete(this)) return;
    removeNamespace(this.netns);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #makeNetwork(): void {
    execFileSync('ip', ['netns', 'add', this.netns]);
    for (const command of [
      'link set lo up',
      'tuntap add dev uml0 mode tap',
      `address add ${HOST_ADDRESS}/24 dev uml0`,
      'link set uml0 up',
    ]) {
      execFileSync('ip', ['-n', this.netns, ...command.split(' ')]);
    }
  }

  #boot(memoryMib: number): void {
    const kernel = boot(this.kernel, { memoryMib, folder: this.folder, netns: this.netns });
    this.#kernel = kernel;
    for (const stream of [kernel.stdout!, kernel.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => this.#console.push(line));
    }
    this.#lines = kernel.stdio[3] as Duplex;
    this.#lines.on('error', () => undefined);
    createInterface({ input: this.#lines }).on('line', (line) => this.#events.emit('line', line.trim()));
    kernel.on('exit', () => this.#events.emit('end'));
  }

  /** The next line from the guest that begins with `start`. */
  #when(start: string, timeoutMs?: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#events.off('line', onLine).off('end', onEnd);
        settle();
      };
      const onLine = (line: string) => {
        if (line.startsWith(start)) finish(() => resolve(line));
      };
      const onEnd = () => finish(() => reject(new Error(`the guest kernel has ended\n${this.console()}`)));
      const late = () =>
        finish(() => reject(new Error(`no "${start}" in ${timeoutMs ?? 0} ms\n${this.console()}`)));
      const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
      this.#events.on('line', onLine).on('end', onEnd);
    });
  }

  #tell(line: string): void {
    this.#lines?.write(`${line}\n`);
  }

  async #mount(
    type: string,
    source: string,
    mountpoint: string,
    options: string,
    timeoutMs: number,
  ): Promise<void> {
    await this.output(
      `mkdir -p ${mountpoint} && mount -t ${type} ${source} ${mountpoint} -o ${options}`,
      timeoutMs,
    );
  }
}

/** Removes what processes left that died without cleaning up. The namespace's name ends with the folder's name. */
function sweepLeftovers(): void {
  for (const name of leftoverNamespaces(NAME_PREFIX)) {
    removeNamespace(name);
    rmSync(join(tmpdir(), `${NAME_PREFIX}uml-${name.slice(-6)}`), { recursive: true, force: true });
  }
}

function prepareOnce(): void {
  if (prepared) return;
  prepared = true;
  if (process.getuid?.() !== 0) throw new Error('the kernel client needs root for its network namespace');
  sweepLeftovers();
  process.on('exit', () => {
    for (const client of live) client.disposeNow();
  });
}

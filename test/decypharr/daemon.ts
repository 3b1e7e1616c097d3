/** Decypharr in a sandbox: its configuration, and how it is started and ended. */
import { readFileSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificates } from './certificates.ts';
import { WITH_PARENT, type Sandbox } from './sandbox.ts';
import { decypharr, rclone, type Backend } from './settings.ts';
import { until } from './until.ts';

const PORT = 8282;
const PAGE = `http://127.0.0.1:${String(PORT)}`;
const POLL_MS = 50;
const EXEC = `exec ${WITH_PARENT.join(' ')}`;

/** The used part of the answer of `GET /api/config`. */
interface PageConfig {
  mount: { dfs: { chunk_size?: string } };
}

export class Daemon {
  readonly backend: Backend;
  /** Where the tree is mounted, inside the sandbox. */
  readonly mountpoint: string;
  readonly #sandbox: Sandbox;
  readonly #config: string;
  readonly #cache: string;
  readonly #pidFile: string;
  readonly #authority: string;

  constructor(sandbox: Sandbox, backend: Backend, { authority }: Certificates) {
    this.backend = backend;
    this.#sandbox = sandbox;
    this.#authority = authority;
    this.mountpoint = sandbox.makeFolder('dfs');
    this.#config = sandbox.makeFolder('config');
    this.#cache = sandbox.makeFolder('cache');
    this.#pidFile = join(sandbox.folder, 'daemon.pid');
    writeFileSync(join(this.#config, 'config.json'), JSON.stringify(this.#settings()));
  }

  #settings(): object {
    const user = { uid: 1000, gid: 1000 };
    return {
      use_auth: false,
      bind_address: '127.0.0.1',
      port: String(PORT),
      log_level: 'debug',
      download_folder: this.#sandbox.makeFolder('downloads'),
      folder_naming: 'original',
      refresh_interval: '15s',
      debrids: [
        {
          provider: 'realdebrid',
          name: 'realdebrid',
          api_key: 'none',
          rate_limit: '6000/minute',
          torrents_refresh_interval: '15s',
        },
      ],
      mount: {
        type: this.backend === 'rclone' ? 'external_rclone' : 'dfs',
        mount_path: this.mountpoint,
        dfs: { cache_dir: this.#cache, disk_cache_size: '50GB', ...user },
      },
    };
  }

  /** The command that starts Decypharr. With the rclone backend it mounts nothing. */
  get decypharr(): string[] {
    return this.#emptied(`${EXEC} "${decypharr()}" --config "${this.#config}"`, this.backend !== 'rclone');
  }

  /** The command that starts the mounting program. It empties the cache first, which may be corrupt after a SIGKILL. */
  get command(): string[] {
    if (this.backend !== 'rclone') return this.decypharr;
    const options = [
      ...['--webdav-url', `${PAGE}/webdav`, '--webdav-vendor', 'other', '--config', '/dev/null'],
      ...['--read-only', '--allow-other', '--dir-cache-time', '10s'],
      ...['--vfs-cache-mode', 'full', '--cache-dir', this.#cache],
    ];
    const mount = `${EXEC} "${rclone()!}" mount :webdav: "${this.mountpoint}" ${options.join(' ')}`;
    return this.#emptied(mount, true);
  }

  #emptied(start: string, isMounter: boolean): string[] {
    const first = isMounter ? [`rm -rf "${this.#cache}"/*`, `echo $$ > "${this.#pidFile}"`] : [];
    // Only the hanwen backend removes the dead mount of a killed daemon; the others cannot mount over it.
    if (isMounter && this.backend !== 'hanwen') first.push(`umount -l "${this.mountpoint}" 2>/dev/null`);
    return ['sh', '-c', [...first, start].join('; ')];
  }

  get environment(): Record<string, string> {
    // Decypharr reads variables that begin with its name as settings: clear those of this suite.
    const own = Object.keys(process.env).filter((name) => name.startsWith('DECYPHARR'));
    return {
      ...Object.fromEntries(own.map((name) => [name, ''])),
      SSL_CERT_FILE: this.#authority,
      ...(this.backend === 'rclone' ? {} : { DFS_FUSE_BACKEND: this.backend }),
    };
  }

  /** Process id of the program that mounts the tree. */
  get pid(): number {
    return Number(readFileSync(this.#pidFile, 'utf8'));
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    process.kill(this.pid, name);
  }

  /** Changes a setting as Decypharr's page does: it then restarts inside its process. */
  async restartFromPage(): Promise<void> {
    const config = JSON.parse(await this.#ask('GET', '/api/config')) as PageConfig;
    config.mount.dfs.chunk_size = config.mount.dfs.chunk_size === '8MB' ? '9MB' : '8MB';
    const answer = await this.#ask('POST', '/api/config', JSON.stringify(config));
    if (!/"restarted":\s*true/.test(answer)) throw new Error(`Decypharr did not restart: ${answer}`);
  }

  async #ask(method: string, path: string, body?: string): Promise<string> {
    const script = `
      fetch(process.argv[2] , { method: process.argv[1], body: process.argv[3] })
        .then((r) => r.text()).then((t) => process.stdout.write(t), (e) => { console.error(e); process.exit(1); });`;
    const { code, stdout, text } = await this.#sandbox.run(process.execPath, [
      ...['-e', script, method, `${PAGE}${path}`],
      ...(body === undefined ? [] : [body]),
    ]);
    if (code !== 0) throw new Error(`${method} ${path}: ${text}`);
    return stdout;
  }

  /** A path of the tree as seen from this process. Access to it may hang with the tree. */
  inside(path: string): string {
    return this.#sandbox.inside(`${this.mountpoint}${path}`);
  }

  get isMounted(): boolean {
    const mounts = readFileSync(this.#sandbox.mountinfoPath, 'utf8');
    return this.#sandbox.mountedAt(this.mountpoint, mounts)?.startsWith('fuse') ?? false;
  }

  async whenMounted(timeoutMs = 30_000): Promise<void> {
    await until('the tree is mounted', timeoutMs, POLL_MS, () => this.isMounted);
  }

  /** Resolves when the tree has that many releases. After the first start they appear gradually. */
  async whenListing(releases: number, timeoutMs = 60_000): Promise<void> {
    await this.whenMounted(timeoutMs);
    let last = 0;
    await until(`${String(releases)} releases are listed`, timeoutMs, 4 * POLL_MS, async () => {
      last = await readdir(this.inside('/__all__')).then(
        (names) => names.length,
        () => -1,
      );
      return last === releases;
    }).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}; ${String(last)} were`);
    });
  }
}

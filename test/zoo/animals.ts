/** The zoo's FUSE file systems ("animals"), and how each is started over the files of content.ts. */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isMounted } from '../../src/demo/mounts.ts';
import { contentSeed, FuseTree, makeContent } from '../kit/fuse.ts';
import { files, named, names, populate, symlinks, type FileSpec, type NameKind } from './content.ts';
import { detach, Program, type Site } from './daemon.ts';
import { HttpFolder } from './http-folder.ts';

const run = promisify(execFile);

export interface Animal {
  readonly name: string;
  /** Kinds of entries that this file system does not support; the checks skip them. */
  readonly lacks?: { readonly symlinks?: true; readonly empty?: true; readonly names?: readonly NameKind[] };
  /** Prepares the files and the daemon. Does not mount yet. */
  prepare(site: Site): Promise<Living> | Living;
}

export interface Living {
  /** Mounts at the site's mountpoint. */
  start(): Promise<void>;
  /** SIGKILL: the mount stays and answers ENOTCONN. */
  kill(): Promise<void>;
  /** Replaces a file's content, in the way that is usual for this file system. Returns the new content. */
  replace(file: FileSpec, bytes: Buffer): Promise<Buffer> | Buffer;
  dispose?(): Promise<void> | void;
}

/** A FUSE daemon that runs in the foreground and is configured by its command line. */
class Daemon implements Living {
  readonly #site: Site;
  readonly #command: string;
  readonly #args: readonly string[];
  readonly replace: Living['replace'];
  #program: Program | undefined;

  constructor(site: Site, command: string, args: readonly string[], replace: Living['replace']) {
    this.#site = site;
    this.#command = command;
    this.#args = args;
    this.replace = replace;
  }

  async start(): Promise<void> {
    await detach(this.#site.mountpoint);
    this.#program = await this.#site.mount(this.#command, this.#args);
  }

  async kill(): Promise<void> {
    await this.#program?.kill();
  }
}

/** A folder of the site with the files. `replace` moves a new file over the old one. */
function backing(site: Site, lacks: Animal['lacks'] = {}): { folder: string; replace: Living['replace'] } {
  const folder = site.make('backing');
  populate(folder, { symlinks: !lacks.symlinks, names: shown(lacks) });
  return { folder, replace: replaceIn(folder) };
}

function shown({ names: lacking = [] }: NonNullable<Animal['lacks']>): NameKind[] {
  return (Object.keys(names) as NameKind[]).filter((kind) => !lacking.includes(kind));
}

const replaceIn =
  (folder: string): Living['replace'] =>
  ({ path }, bytes) => {
    writeFileSync(join(folder, `${path}.new`), bytes);
    renameSync(join(folder, `${path}.new`), join(folder, path));
    return bytes;
  };

/** A daemon over a folder; the mountpoint is its last argument. */
function over(
  name: string,
  command: string,
  args: (site: Site, folder: string) => readonly string[],
  lacks?: Animal['lacks'],
): Animal {
  const prepare = (site: Site) => {
    const { folder, replace } = backing(site, lacks);
    return new Daemon(site, command, [...args(site, folder), site.mountpoint], replace);
  };
  return { name, prepare, ...(lacks ? { lacks } : {}) };
}

const fuseOverlayfs: Animal = {
  name: 'fuse-overlayfs',
  prepare: (site) => {
    const { folder } = backing(site);
    const layers = `lowerdir=${folder},upperdir=${site.make('upper')},workdir=${site.make('work')}`;
    const args = ['-f', '-o', `allow_other,${layers}`, site.mountpoint];
    // fuse-overlayfs caches its layers, so change files through the mount.
    return new Daemon(site, 'fuse-overlayfs', args, replaceIn(site.mountpoint));
  },
};

const RCLONE = ['--config', '/dev/null', '--allow-other', '--dir-cache-time', '1s', '--attr-timeout', '1s'];

const sshfs: Animal = over('sshfs', 'sshfs', (site, folder) => {
  // Starts the SFTP server that ssh would start on the remote machine, without ssh.
  const wrapper = site.path('sftp');
  writeFileSync(wrapper, '#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n');
  chmodSync(wrapper, 0o755);
  return ['-f', '-o', `allow_other,ssh_command=${wrapper},dcache_timeout=1`, `nowhere:${folder}`];
});

/** A file system image. To replace a file in it, the image is rebuilt and mounted again. */
function image(
  name: string,
  command: string,
  options: string,
  pack: (folder: string, image: string) => void,
): Animal {
  const prepare = (site: Site) => {
    const { folder, replace } = backing(site);
    const path = site.path('image');
    pack(folder, path);
    const daemon: Daemon = new Daemon(
      site,
      command,
      ['-f', '-o', options, path, site.mountpoint],
      async (file, bytes) => {
        await replace(file, bytes);
        rmSync(path);
        pack(folder, path);
        await daemon.kill();
        await daemon.start();
        return bytes;
      },
    );
    return daemon;
  };
  return { name, prepare };
}

const gocryptfs: Animal = {
  name: 'gocryptfs',
  prepare: async (site) => {
    const cipher = site.make('cipher');
    const password = site.path('password');
    writeFileSync(password, 'zoo\n');
    const common = ['-q', '-nosyslog', '-passfile', password];
    execFileSync('gocryptfs', ['-init', '-scryptn', '10', ...common, cipher]);
    const plain = site.make('plain');
    const writer = await site.mount('gocryptfs', ['-fg', ...common, cipher, plain], plain);
    populate(plain, { symlinks: true, names: shown({}) });
    await detach(plain);
    await writer.kill();
    const args = ['-fg', '-allow_other', ...common, cipher, site.mountpoint];
    return new Daemon(site, 'gocryptfs', args, replaceIn(site.mountpoint));
  },
};

const httpdirfs: Animal = {
  name: 'httpdirfs',
  // httpdirfs does not show files of 0 bytes.
  lacks: { symlinks: true, empty: true, names: ['backslash'] },
  prepare: async (site) => {
    const { folder, replace } = backing(site, httpdirfs.lacks);
    const server = await HttpFolder.serve(folder);
    const args = ['--config', '/dev/null', '-f', '-o', 'allow_other', server.url, site.mountpoint];
    // httpdirfs reads each listing once, so a changed file needs a new mount.
    const daemon: Daemon = new Daemon(site, 'httpdirfs', args, async (file, bytes) => {
      await replace(file, bytes);
      await daemon.kill();
      await daemon.start();
      return bytes;
    });
    return Object.assign(daemon, { dispose: () => server.close() });
  },
};

/** Starts `rclone serve webdav` over a folder. Returns its URL. */
async function serveWebdav(site: Site, folder: string): Promise<string> {
  const args = [
    'serve',
    'webdav',
    folder,
    '--config',
    '/dev/null',
    '--addr',
    '127.0.0.1:0',
    '--dir-cache-time',
    '1s',
  ];
  const program = site.spawn('rclone', args);
  for (;;) {
    const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(program.text)?.[0];
    if (url !== undefined) return url;
    if (program.ended) throw new Error(`rclone serve webdav: ${program.text}`);
    await delay(20);
  }
}

const rcloneWebdav: Animal = {
  name: 'rclone (WebDAV)',
  lacks: { symlinks: true },
  prepare: async (site) => {
    const { folder, replace } = backing(site, rcloneWebdav.lacks);
    const url = await serveWebdav(site, folder);
    const args = ['mount', ...RCLONE, '--webdav-url', url, ':webdav:', site.mountpoint];
    return new Daemon(site, 'rclone', args, replace);
  },
};

/** Kills a process that is not a child of this one. Resolves when it has ended. */
async function killStranger(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  const state = () => {
    try {
      const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
      return stat.charAt(stat.lastIndexOf(')') + 2);
    } catch {
      return 'gone';
    }
  };
  // A zombie has ended too, even if it has not been reaped.
  while (!['gone', 'Z', 'X'].includes(state())) await delay(20);
}

const DAVFS_RUN = '/var/run/mount.davfs';

const davfs2: Animal = {
  name: 'davfs2',
  // davfs2 caches each file under a longer name, so the longest names do not fit.
  lacks: { symlinks: true, names: ['backslash', 'long'] },
  prepare: async (site) => {
    const { folder, replace } = backing(site, davfs2.lacks);
    const url = await serveWebdav(site, folder);
    const configuration = site.path('davfs2.conf');
    const cache = site.make('cache');
    chmodSync(cache, 0o777);
    const settings = {
      ask_auth: 0,
      // KiB. With the default of 16 it refuses listings by newer kernels, which ask for 32.
      buf_size: 256,
      cache_dir: cache,
      dir_refresh: 1,
      file_refresh: 1,
      use_locks: 0,
    };
    writeFileSync(
      configuration,
      Object.entries(settings)
        .map(([key, value]) => `${key} ${String(value)}\n`)
        .join(''),
    );
    const pidFile = join(DAVFS_RUN, `${site.mountpoint.slice(1).replaceAll('/', '-')}.pid`);
    return {
      start: async () => {
        // `-i`: umount.davfs would need the running daemon.
        if (isMounted(site.mountpoint)) await run('umount', ['-i', '-l', site.mountpoint]);
        rmSync(pidFile, { force: true });
        mkdirSync(DAVFS_RUN, { recursive: true });
        execFileSync('mount.davfs', ['-o', `ro,allow_other,conf=${configuration}`, url, site.mountpoint], {
          stdio: ['ignore', 'ignore', 'pipe'],
        });
      },
      // davfs2 always forks into the background, so its process is not a child of this one.
      kill: () => killStranger(Number(readFileSync(pidFile, 'utf8'))),
      replace,
      dispose: () => rmSync(pidFile, { force: true }),
    };
  },
};

/** The demo's imitation of Decypharr, which the other tests use. */
const demoTree: Animal = {
  name: 'the demo’s tree',
  prepare: async (site) => {
    const mtimeMs = Date.UTC(2024, 4, 17);
    const tree = await FuseTree.start({
      mountpoint: site.mountpoint,
      mounted: false,
      releases: 0,
      extra: [
        ...[...files, ...shown({}).map(named)].map((file) => ({ type: 'file' as const, mtimeMs, ...file })),
        ...symlinks.map(([path, target]) => ({ type: 'symlink' as const, path, target })),
      ],
    });
    return {
      start: () => tree.mount(),
      kill: () => tree.kill(),
      // The bytes are computed from path and version. The size serves as the version.
      replace: async ({ path }, { length: size }) => {
        await tree.replace(path, { size, version: size });
        return makeContent(contentSeed(path, size), 0, size);
      },
      dispose: () => tree.dispose(),
    };
  },
};

export const animals: readonly Animal[] = [
  over('mergerfs', 'mergerfs', (site, folder) => [
    ...['-f', '-o', 'allow_other,cache.files=partial,dropcacheonclose=true'],
    `${site.make('second')}:${folder}`,
  ]),
  over('unionfs-fuse', 'unionfs', (site, folder) => [
    ...['-f', '-o', 'allow_other'],
    `${site.make('second')}=RO:${folder}=RO`,
  ]),
  over('bindfs', 'bindfs', (_, folder) => ['-f', '-o', 'allow_other', folder]),
  sshfs,
  image('squashfuse', 'squashfuse', 'allow_other', (folder, path) => {
    execFileSync('mksquashfs', [folder, path, '-noappend', '-quiet', '-no-progress'], { stdio: 'ignore' });
  }),
  fuseOverlayfs,
  gocryptfs,
  image('archivemount', 'archivemount', 'readonly,allow_other', (folder, path) => {
    // GNU format: pax headers have names in UTF-8, which archivemount cannot convert and drops.
    execFileSync('tar', ['--format=gnu', '-C', folder, '-cf', path, '.']);
  }),
  httpdirfs,
  over('rclone (folder)', 'rclone', (_, folder) => ['mount', ...RCLONE, folder], { symlinks: true }),
  rcloneWebdav,
  davfs2,
  demoTree,
];

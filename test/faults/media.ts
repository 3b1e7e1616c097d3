/** A plain folder with several mounts, served as one export: the tree of the lab is only one of them. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeContent, MIB } from '../kit/fuse.ts';
import { detachNow, FOLDER_PREFIX, isMounted } from '../../src/demo/mounts.ts';
import { Gateway } from '../kit/gateway.ts';
import { ports } from './lab.ts';
import type { Place, ServerKind } from './server.ts';

/** What the other mounts and the plain folder hold, by the same name in each. */
export const film = { name: 'film.mkv', size: 8 * MIB, seed: 'film' } as const;
/** The lab's own tree. */
export const treeAt = '/dfs';
export const others = ['/rclone', '/squash', '/plain'] as const;

/** How a daemon over `source` is started in the foreground. */
type Daemon = (source: string, mountpoint: string) => readonly [string, ...string[]];

const daemons: Readonly<Record<string, Daemon>> = {
  rclone: (source, at) => ['rclone', 'mount', '--allow-other', '--vfs-cache-mode', 'off', source, at],
  squash: (source, at) => ['squashfuse', '-f', '-o', 'allow_other', join(source, '../image'), at],
};

const mountMs = 20_000;

async function mount(name: string, source: string, at: string): Promise<ChildProcess> {
  const [command, ...args] = daemons[name]!(source, at);
  const daemon = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], { stdio: 'ignore' });
  for (const until = performance.now() + mountMs; !isMounted(at);) {
    if (performance.now() > until || daemon.exitCode !== null)
      throw new Error(`${command} has not mounted ${at}`);
    await delay(50);
  }
  return daemon;
}

interface MediaPlace {
  readonly folder: string;
  readonly running: Map<string, ChildProcess>;
}

/** @param late daemons that are not there when the gateway starts first; the lab's tree is one if it is not mounted. */
export const overMedia = (
  late: readonly string[] = [],
): ServerKind & { readonly mountLate: () => Promise<void> } => {
  const places = new Set<MediaPlace>();
  const mountIn = async ({ folder, running }: MediaPlace, names: readonly string[]) => {
    for (const name of names.filter((one) => !running.has(one)))
      running.set(name, await mount(name, join(folder, 'source'), join(folder, 'media', name)));
  };
  return {
    name: 'Holdfast over a folder of mounts',
    mountLate: async () => {
      await Promise.all([...places].map((place) => mountIn(place, late)));
    },
    prepare: (): Place => {
      const folder = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${String(process.pid)}-media-`));
      const place: MediaPlace = { folder, running: new Map() };
      places.add(place);
      const media = join(folder, 'media');
      for (const name of ['source', ...['dfs', 'rclone', 'squash', 'plain'].map((one) => `media/${one}`)])
        mkdirSync(join(folder, name), { recursive: true });
      for (const name of ['source', 'media/plain'])
        writeFileSync(join(folder, name, film.name), makeContent(film.seed, 0, film.size));
      execFileSync('mksquashfs', [join(folder, 'source'), join(folder, 'image'), '-noI', '-noD', '-quiet']);
      const listen = Object.entries(ports).flatMap(([what, port]) => [
        `--${what}`,
        `0.0.0.0:${String(port)}`,
      ]);
      const config = join(folder, 'holdfast.yaml');
      const dfs = { path: media, expectFuse: false, mounts: ['dfs', 'rclone', 'squash'] };
      writeFileSync(config, JSON.stringify({ exports: { dfs } }));
      const dispose = () => {
        places.delete(place);
        for (const daemon of place.running.values()) daemon.kill('SIGKILL');
        for (const name of ['rclone', 'squash', 'dfs']) detachNow(join(media, name));
        rmSync(folder, { recursive: true, force: true });
      };
      process.once('exit', dispose);
      return {
        tree: { mountpoint: join(media, 'dfs') },
        start: async ({ protocols, netns }) => {
          const names = Object.keys(daemons).filter((name) => !late.includes(name));
          await mountIn(place, names);
          return await Gateway.start({ args: ['serve', '--config', config, ...listen], protocols, netns });
        },
        dispose: () => {
          process.off('exit', dispose);
          dispose();
        },
      };
    },
  };
};

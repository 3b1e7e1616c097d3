/** Fetches packages of another Debian suite and unpacks them into a cache folder. The system is not changed. */
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { sourceStanza, type Mirror } from './kernels-sources.ts';
import { BUSYBOX } from './uml-image.ts';

const run = promisify(execFile);

export interface Wanted {
  readonly suite: string;
  /** The first package's version names the folder. */
  readonly packages: readonly [string, ...string[]];
  /** Whether to fetch the packages' dependencies as well. */
  readonly withDependencies?: boolean;
  /** The cache folder. It has a folder for each suite and version. */
  readonly kept: string;
}

const MINUTES = 60_000;
const ABANDONED_MS = 60 * MINUTES;

/** The newest root of a suite that an earlier run has unpacked. */
export function unpackedRoot(suite: string, kept: string): string | undefined {
  const folder = join(kept, suite);
  const version = existsSync(folder) ? readdirSync(folder).at(-1) : undefined;
  return version === undefined ? undefined : join(folder, version);
}

/** Options that make apt use `folder` for everything except the system's configuration and keys. */
function aptOptions(folder: string): string[] {
  const options = {
    'Dir::Etc::SourceList': join(folder, 'debian.sources'),
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'Dir::State::Lists': join(folder, 'lists'),
    // The new root has no installed packages.
    'Dir::State::Status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    // The user _apt may not write to this folder.
    'APT::Sandbox::User': 'root',
    'APT::Install-Recommends': 'false',
    'Acquire::Retries': '1',
    'Acquire::http::Timeout': '20',
    'Acquire::https::Timeout': '20',
    // Without this, `update` succeeds even if it has fetched nothing.
    'APT::Update::Error-Mode': 'any',
  };
  return ['-q', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
}

/** Downloads the packages and unpacks them into `folder`/root. Returns the first package's version. */
async function unpack(mirror: Mirror, wanted: Wanted, folder: string): Promise<string> {
  const { suite, packages, withDependencies = false } = wanted;
  const archives = withDependencies ? 'cache/archives' : 'packages';
  for (const part of ['lists/partial', 'cache/archives/partial', 'packages', 'root'])
    mkdirSync(join(folder, part), { recursive: true });
  writeFileSync(join(folder, 'debian.sources'), sourceStanza(mirror, suite));
  writeFileSync(join(folder, 'status'), '');
  const apt = (...args: string[]) =>
    run('apt-get', [...aptOptions(folder), ...args], {
      cwd: join(folder, 'packages'),
      timeout: 10 * MINUTES,
    });
  await apt('update');
  const names = packages.map((name) => `${name}/${suite}`);
  await (withDependencies ? apt('install', '--download-only', '--yes', ...names) : apt('download', ...names));
  const files = readdirSync(join(folder, archives)).filter((name) => name.endsWith('.deb'));
  const root = join(folder, 'root');
  for (const name of files) await run('dpkg-deb', ['-x', join(folder, archives, name), root]);
  // PACKAGE_VERSION_ARCHITECTURE.deb
  const version = files.find((name) => name.startsWith(`${packages[0]}_`))?.split('_')[1];
  if (version === undefined) throw new Error(`no ${packages[0]} among ${files.join(' ')}`);
  return version;
}

/** Adds what a root needs besides the packages: mountpoints, the usual links into /usr, and busybox. */
export function completeRoot(root: string): void {
  for (const folder of ['usr/share', 'etc']) rmSync(join(root, folder), { recursive: true, force: true });
  for (const folder of ['boot', 'dev', 'old', 'proc', 'tmp', 'usr/bin'])
    mkdirSync(join(root, folder), { recursive: true });
  for (const name of ['bin', 'lib', 'lib64', 'sbin']) {
    if (!existsSync(join(root, name))) symlinkSync(`usr/${name}`, join(root, name));
  }
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
}

/** Removes the folders of runs that were killed during a fetch. */
function sweep(kept: string): void {
  const [parent, name] = [dirname(kept), `${basename(kept)}.`];
  for (const left of readdirSync(parent).filter((entry) => entry.startsWith(name))) {
    const path = join(parent, left);
    if (statSync(path).mtimeMs < Date.now() - ABANDONED_MS) rmSync(path, { recursive: true, force: true });
  }
}

async function fetchFrom(mirror: Mirror, wanted: Wanted): Promise<string> {
  const { kept, suite } = wanted;
  mkdirSync(kept, { recursive: true });
  sweep(kept);
  // In the same file system as the final place, so that it can be renamed.
  const folder = mkdtempSync(`${kept}.`);
  try {
    const version = await unpack(mirror, wanted, folder);
    const staged = join(folder, 'root');
    completeRoot(staged);
    const root = join(kept, suite, version);
    mkdirSync(dirname(root), { recursive: true });
    // Another run may have finished first.
    if (!existsSync(root)) renameSync(staged, root);
    return root;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The first error line of apt, or the message itself. */
function complaint(error: unknown): string {
  const { stderr = '', message } = error as Error & { stderr?: string };
  const lines = stderr.split('\n').filter((line) => /^[EW]: /.test(line));
  return (lines.find((line) => line.startsWith('E: ')) ?? lines[0] ?? message).replace(/^[EW]: /, '').trim();
}

/** Fetches the packages from the first mirror that has them. Returns the root. Fails with the errors of all mirrors. */
export async function fetchRoot(wanted: Wanted, mirrors: readonly Mirror[]): Promise<string> {
  if (mirrors.length === 0) throw new Error("apt's lists name no mirror of Debian");
  const complaints: string[] = [];
  for (const mirror of mirrors) {
    try {
      return await fetchFrom(mirror, wanted);
    } catch (error) {
      complaints.push(`${mirror.uri}: ${complaint(error)}`);
    }
  }
  throw new Error(complaints.join('; '));
}

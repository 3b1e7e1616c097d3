/** Gets a kernel of another Debian suite, unpacked beside the system, which stays as it is. */
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
import { sourceStanza, systemMirrors, type Mirror } from './kernels-sources.ts';
import { BUSYBOX, cacheFolder, type Kernel } from './uml-image.ts';

const run = promisify(execFile);

/** The kernel, and the libraries that it is linked with. */
const PACKAGES = ['user-mode-linux', 'libc6', 'libgcc-s1'];
/** Changes when what is kept below it is laid out in another way. */
const keptFolder = join(cacheFolder, 'fetched-1');
const MINUTES = 60_000;
const ABANDONED_MS = 60 * MINUTES;

function kernelIn(suite: string, root: string): Kernel {
  const modules = join(root, 'usr/lib/uml/modules');
  const release = readdirSync(modules).at(-1);
  if (release === undefined) throw new Error(`${modules} is empty`);
  return { name: suite, release, modules, root };
}

/** The suite's kernel, if an earlier run has fetched it. */
export function fetchedKernel(suite: string, kept = keptFolder): Kernel | undefined {
  const folder = join(kept, suite);
  const version = existsSync(folder) ? readdirSync(folder).at(-1) : undefined;
  return version === undefined ? undefined : kernelIn(suite, join(folder, version));
}

/** Everything that apt reads and writes here lies in `folder`, except the system's configuration and keys. */
function aptOptions(folder: string): string[] {
  const options = {
    'Dir::Etc::SourceList': join(folder, 'debian.sources'),
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    // Its own user may not write to a folder of ours.
    'APT::Sandbox::User': 'root',
    'Acquire::Retries': '1',
    'Acquire::http::Timeout': '20',
    'Acquire::https::Timeout': '20',
    // Otherwise `update` succeeds where it has got nothing.
    'APT::Update::Error-Mode': 'any',
  };
  return ['-q', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
}

/** Downloads and unpacks the packages into `folder`/root; returns the kernel package's version. */
async function unpack(mirror: Mirror, suite: string, folder: string): Promise<string> {
  for (const part of ['lists/partial', 'cache/archives/partial', 'packages', 'root'])
    mkdirSync(join(folder, part), { recursive: true });
  writeFileSync(join(folder, 'debian.sources'), sourceStanza(mirror, suite));
  const apt = (...args: string[]) =>
    run('apt-get', [...aptOptions(folder), ...args], {
      cwd: join(folder, 'packages'),
      timeout: 10 * MINUTES,
    });
  await apt('update');
  await apt('download', ...PACKAGES.map((name) => `${name}/${suite}`));
  const packages = readdirSync(join(folder, 'packages'));
  const root = join(folder, 'root');
  for (const name of packages) await run('dpkg-deb', ['-x', join(folder, 'packages', name), root]);
  // PACKAGE_VERSION_ARCHITECTURE.deb
  const version = packages.find((name) => name.startsWith(`${PACKAGES[0]!}_`))?.split('_')[1];
  if (version === undefined) throw new Error(`no ${PACKAGES[0]!} among ${packages.join(' ')}`);
  return version;
}

/** What a root needs besides the packages: mount points, the usual links into /usr, and a program that needs no library. */
export function completeRoot(root: string): void {
  for (const folder of ['usr/share', 'etc']) rmSync(join(root, folder), { recursive: true, force: true });
  for (const folder of ['bin', 'boot', 'dev', 'old', 'proc', 'tmp'])
    mkdirSync(join(root, folder), { recursive: true });
  for (const name of ['lib', 'lib64']) {
    if (!existsSync(join(root, name))) symlinkSync(`usr/${name}`, join(root, name));
  }
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
}

/** Removes what runs left that were killed while they fetched. */
function sweep(kept: string): void {
  const [parent, name] = [dirname(kept), `${basename(kept)}.`];
  for (const left of readdirSync(parent).filter((entry) => entry.startsWith(name))) {
    const path = join(parent, left);
    if (statSync(path).mtimeMs < Date.now() - ABANDONED_MS) rmSync(path, { recursive: true, force: true });
  }
}

async function fetchFrom(mirror: Mirror, suite: string, kept: string): Promise<Kernel> {
  mkdirSync(kept, { recursive: true });
  sweep(kept);
  // Beside the place where it stays: only so it can be renamed.
  const folder = mkdtempSync(`${kept}.`);
  try {
    const version = await unpack(mirror, suite, folder);
    const staged = join(folder, 'root');
    completeRoot(staged);
    const root = join(kept, suite, version);
    mkdirSync(dirname(root), { recursive: true });
    // Another run may have been faster.
    if (!existsSync(root)) renameSync(staged, root);
    return kernelIn(suite, root);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What apt complained of, or the message itself. */
function complaint(error: unknown): string {
  const { stderr = '', message } = error as Error & { stderr?: string };
  const lines = stderr.split('\n').filter((line) => /^[EW]: /.test(line));
  return (lines.find((line) => line.startsWith('E: ')) ?? lines[0] ?? message).replace(/^[EW]: /, '').trim();
}

/** Fetches the suite's kernel from the first of the system's mirrors that has it. Fails with what each of them said. */
export async function fetchKernel(
  suite: string,
  mirrors = systemMirrors(),
  kept = keptFolder,
): Promise<Kernel> {
  if (mirrors.length === 0) throw new Error("apt's lists name no mirror of Debian");
  const complaints: string[] = [];
  for (const mirror of mirrors) {
    try {
      return await fetchFrom(mirror, suite, kept);
    } catch (error) {
      complaints.push(`${mirror.uri}: ${complaint(error)}`);
    }
  }
  throw new Error(complaints.join('; '));
}

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {'nfs' | 'smb'} Protocol */

const bench = fileURLToPath(new URL('..', import.meta.url));
const cache = join(bench, '..', 'node_modules', '.cache', 'holdfast-bench');

/** The programs to build: source, library and kind. */
const programs = {
  limit: { source: 'limit.c', library: undefined, shared: false },
  tree: { source: 'fuse/tree.c', library: 'fuse3', shared: false },
  'nfs-load': { source: 'clients/nfs-load.c', library: 'libnfs', shared: false },
  'smb-load': { source: 'clients/smb-load.c', library: 'smbclient', shared: false },
  'nlink.so': { source: 'shim/nlink.c', library: undefined, shared: true },
};

/** The Debian package of each command or pkg-config name, and the part that needs it. */
const needs = [
  { command: 'gcc', package: 'gcc libc6-dev', by: 'all' },
  { command: 'pkg-config', package: 'pkg-config', by: 'all' },
  { command: 'ip', package: 'iproute2', by: 'all' },
  { command: 'nsenter', package: 'util-linux', by: 'all' },
  { library: 'fuse3', package: 'libfuse3-dev', by: 'all' },
  { library: 'libnfs', package: 'libnfs-dev', by: 'nfs' },
  { command: 'ganesha.nfsd', package: 'nfs-ganesha nfs-ganesha-vfs', by: 'ganesha' },
  { command: 'rpcbind', package: 'rpcbind', by: 'ganesha' },
  { library: 'smbclient', package: 'libsmbclient-dev', by: 'smb' },
  { command: 'smbd', package: 'samba samba-common-bin', by: 'smbd' },
];

/** @param {string} command */
function onPath(command) {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @param {string} library */
function hasLibrary(library) {
  try {
    execFileSync('pkg-config', ['--exists', library], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/**
 * Debian packages that are missing for `parts` ('nfs', 'smb', 'ganesha', 'smbd').
 * @param {Set<string>} parts
 */
export function missingPackages(parts) {
  return needs
    .filter((need) => need.by === 'all' || parts.has(need.by))
    .filter((need) => (need.command ? !onPath(need.command) : !hasLibrary(need.library ?? '')))
    .flatMap((need) => need.package.split(' '));
}

/** @param {string[]} packages */
export function installPackages(packages) {
  execFileSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 2, 2] });
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}

/**
 * The path of a built program; compiled when its sources or its flags changed.
 * @param {keyof typeof programs} name
 * @returns {string}
 */
export function build(name) {
  const { source, library, shared } = programs[name];
  const flags = library
    ? execFileSync('pkg-config', ['--cflags', '--libs', library], { encoding: 'utf8' }).trim().split(/\s+/)
    : [];
  const argv = ['-O2', '-Wall', '-Wextra', '-Werror', ...(shared ? ['-shared', '-fPIC'] : [])];
  const hash = createHash('sha256').update(JSON.stringify([argv, flags]));
  for (const file of [source, 'clients/measure.h']) hash.update(readFileSync(join(bench, file)));
  const target = join(cache, `${hash.digest('hex').slice(0, 16)}-${name}`);
  if (existsSync(target)) return target;
  mkdirSync(cache, { recursive: true });
  const fresh = `${target}.${process.pid}`;
  execFileSync('gcc', [...argv, '-o', fresh, join(bench, source), ...flags], { stdio: ['ignore', 2, 2] });
  renameSync(fresh, target);
  return target;
}

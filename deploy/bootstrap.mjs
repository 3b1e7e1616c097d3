// `npm start` and `npm test`, from a fresh clone: brings what is missing, builds, then runs the demo or the tests.
// Node's own modules only: nothing is installed yet when this runs.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Debian packages that the tests use: the one place that names them. `a|b`: b is a's name in a later release. */
const TEST_PACKAGES = [
  // A FUSE tree (fuse-native links with libfuse 2) and its tools.
  'libfuse2|libfuse2t64',
  'fuse3',
  // The zoo of real FUSE filesystems, and what makes what they show.
  'mergerfs',
  'unionfs-fuse',
  'bindfs',
  'sshfs',
  'openssh-sftp-server',
  'squashfuse',
  'squashfs-tools',
  'fuse-overlayfs',
  'gocryptfs',
  'archivemount',
  'httpdirfs',
  'rclone',
  'davfs2',
  // A real kernel as client.
  'user-mode-linux',
  'busybox-static',
  'kmod',
  'xz-utils',
  'cpio',
  'iproute2',
  'nftables',
  'util-linux',
  'mount',
  // Other clients.
  'libnfs-utils',
  'smbclient',
  'samba-testsuite',
  'python3-impacket',
  'rpcbind',
  'nfs-common',
  // The peers, and a second opinion on every packet.
  'samba',
  'nfs-ganesha',
  'nfs-ganesha-vfs',
  'tshark',
  'strace',
  // Certificates for the stand-in of a debrid service.
  'openssl',
  // Load generators and a FUSE tree in C.
  'gcc',
  'libc6-dev',
  'libfuse3-dev',
  'libnfs-dev',
  'libsmbclient-dev',
];

/** What `npm start` wants for its own FUSE tree. */
const DEMO_PACKAGES = ['libfuse2|libfuse2t64', 'fuse3'];

/**
 * What an npm package needs while it is being installed. fuse-native is optional: its install script loads the prebuilt
 * module, which links with libfuse 2, and where that fails npm leaves the package out without a word.
 */
const MODULE_PACKAGES = ['libfuse2|libfuse2t64'];

function fail(...lines) {
  console.error(lines.join('\n'));
  process.exit(1);
}

/** Runs to the end with the terminal's streams; returns the exit code, or undefined if it cannot be started. */
function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    ...options,
  });
  return error ? undefined : (status ?? 1);
}

/** Installs the npm packages. What they need of the system has to be there before: see MODULE_PACKAGES. */
function installModules() {
  const installed = join(root, 'node_modules/.package-lock.json');
  const wanted = join(root, 'package-lock.json');
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(wanted).mtimeMs) cleanInstall();
  repairOptionalModules();
}

function cleanInstall() {
  console.error('installing the npm packages (npm ci)');
  const code = run('npm', ['ci', '--no-audit', '--no-fund']);
  if (code === undefined) fail('npm is missing: install Node 20 or newer with npm');
  if (code !== 0) {
    fail(
      '`npm ci` failed: it needs package-lock.json unchanged, a writable folder and an npm registry it can reach',
    );
  }
}

/** Whether a module of this project can be loaded, by a process of its own: a native one may take its process down. */
function loads(name) {
  const { status } = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(name)})`], {
    cwd: root,
    stdio: 'ignore',
  });
  return status === 0;
}

/**
 * npm does not say when it leaves an optional package out, and never tries again. So each is loaded here; what fails is
 * built again if it is there, and else all packages are installed again.
 */
function repairOptionalModules() {
  const { optionalDependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const broken = () => Object.keys(optionalDependencies).filter((name) => !loads(name));
  let left = broken();
  // Without its library, or on another processor, a second attempt would end like the first.
  if (left.length === 0 || process.arch !== 'x64' || missingPackages(MODULE_PACKAGES)?.length > 0) {
    if (left.length > 0) console.error(`optional npm packages that do not load here: ${left.join(' ')}`);
    return;
  }
  const there = left.filter((name) => existsSync(join(root, 'node_modules', name, 'package.json')));
  if (there.length > 0) {
    console.error(`building again what does not load: ${there.join(' ')} (npm rebuild)`);
    run('npm', ['rebuild', ...there]);
    left = broken();
  }
  if (left.length === 0) return;
  console.error(`optional npm packages are missing: ${left.join(' ')}`);
  cleanInstall();
  left = broken();
  if (left.length > 0) console.error(`optional npm packages that still do not load: ${left.join(' ')}`);
}

function build() {
  if (run('npm', ['run', '--silent', 'build']) !== 0) fail('`npm run build` failed');
}

/** Those of `packages` that dpkg does not have; undefined on a system without dpkg. */
function missingPackages(packages) {
  const names = packages.flatMap((name) => name.split('|'));
  const format = '${Package} ${db:Status-Status}\n';
  const { stdout, error } = spawnSync('dpkg-query', ['-W', '-f', format, ...names], { encoding: 'utf8' });
  if (error) return undefined;
  const lines = new Set(stdout.split('\n'));
  return packages
    .map((name) => name.split('|'))
    .filter((alternatives) => !alternatives.some((name) => lines.has(`${name} installed`)))
    .map(([name]) => name);
}

/**
 * apt-get install. Services that come along (smbd, rpcbind, nfs-ganesha) must not start: a policy-rc.d, the
 * means Debian has for it, says so for as long as it takes, unless the machine already has one.
 */
function aptInstall(packages) {
  const policy = '/usr/sbin/policy-rc.d';
  const ownPolicy = !existsSync(policy);
  if (ownPolicy) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    console.error(`installing Debian packages: ${packages.join(' ')}`);
    if (run('apt-get', ['update', '-q'], { env }) !== 0) return false;
    return run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], { env }) === 0;
  } finally {
    if (ownPolicy) rmSync(policy, { force: true });
  }
}

/** Installs what is missing of `packages`, or says precisely what is. Returns true if all are there. */
function ensurePackages(packages, purpose) {
  const missing = missingPackages(packages);
  if (missing?.length === 0) return true;
  const names = (missing ?? packages).join(' ');
  if (missing === undefined) {
    console.error(`${purpose} what these Debian packages hold, and this is no Debian system: ${names}`);
    return false;
  }
  if (process.getuid() === 0 && aptInstall(missing)) return true;
  const why = process.getuid() === 0 ? 'apt-get could not install them' : 'only root can install them';
  const still = missingPackages(packages).join(' ');
  console.error(`${purpose} Debian packages that are missing, and ${why}:`);
  console.error(`  apt-get update && apt-get install --no-install-recommends ${still}`);
  return false;
}

/** Runs `command` in this process's place: its signals and its exit code are this one's. */
function become(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
    // A terminal sends SIGINT and SIGQUIT to the whole group: the child has them already.
    const fromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
    process.on(signal, () => fromTerminal || child.kill(signal));
  }
  child.on('error', (error) => fail(`${command}: ${error.message}`));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

function start(args) {
  if (!existsSync('/dev/fuse')) console.error('/dev/fuse is missing: load the fuse module (modprobe fuse)');
  ensurePackages(DEMO_PACKAGES, "the demo's FUSE tree uses");
  installModules();
  build();
  become(process.execPath, ['dist/main.js', 'demo', ...args]);
}

function test(args) {
  const lacking = [];
  if (!existsSync('/dev/fuse')) lacking.push('/dev/fuse (modprobe fuse; in a container: --device /dev/fuse)');
  if (!existsSync('/dev/net/tun'))
    lacking.push('/dev/net/tun (modprobe tun; in a container: --device /dev/net/tun)');
  if (process.getuid() !== 0) lacking.push('root: the tests mount and make network namespaces');
  if (!ensurePackages(TEST_PACKAGES, 'the tests use')) lacking.push('the Debian packages named above');
  installModules();
  if (!loads('fuse-native')) lacking.push("the npm package fuse-native: the tests' FUSE trees");
  if (lacking.length > 0) fail('the tests cannot run without:', ...lacking.map((what) => `  - ${what}`));
  build();
  become(process.execPath, [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--project',
    'unit',
    '--project',
    'system',
    ...args,
  ]);
}

/** For `.ci/run`, which builds and lints before it tests. */
function install() {
  ensurePackages(MODULE_PACKAGES, 'the npm packages use');
  installModules();
}

const [command, ...args] = process.argv.slice(2);
if (!process.env.PATH?.split(delimiter).includes('/usr/sbin'))
  process.env.PATH += `${delimiter}/usr/sbin${delimiter}/sbin`;
if (command === 'start') start(args);
else if (command === 'test') test(args);
else if (command === 'install') install();
else fail('usage: node deploy/bootstrap.mjs start|test|install [argument…]');

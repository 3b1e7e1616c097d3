// `npm start` and `npm test` in a fresh clone: installs missing packages, builds, then runs the demo or the tests.
// Uses Node's built-in modules only, as no package is installed yet.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** All Debian packages that the tests use. `a|b`: the package is called b in later releases. */
const TEST_PACKAGES = [
  // A FUSE tree (fuse-native links with libfuse 2) and its tools.
  'libfuse2|libfuse2t64',
  'fuse3',
  // Real FUSE filesystems (test/zoo) and the tools that make their sources.
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
  // Other servers to compare with, and packet analysis.
  'samba',
  'nfs-ganesha',
  'nfs-ganesha-vfs',
  'tshark',
  'strace',
  // Certificates for the simulated debrid service.
  'openssl',
  // Load generators and a FUSE tree in C.
  'gcc',
  'libc6-dev',
  'libfuse3-dev',
  'libnfs-dev',
  'libsmbclient-dev',
];

/** Debian packages for the FUSE tree of `npm start`. */
const DEMO_PACKAGES = ['libfuse2|libfuse2t64', 'fuse3'];

/**
 * Debian packages that npm packages need during installation. fuse-native is optional: its install script loads the
 * prebuilt module, which needs libfuse 2. If that fails, npm leaves the package out and prints nothing.
 */
const MODULE_PACKAGES = ['libfuse2|libfuse2t64'];

function fail(...lines) {
  console.error(lines.join('\n'));
  process.exit(1);
}

/** Runs a command and waits for its end. Returns its exit code, or undefined if it cannot be started. */
function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    ...options,
  });
  return error ? undefined : (status ?? 1);
}

/** Installs the npm packages. MODULE_PACKAGES have to be installed before. */
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

/** Whether the module can be loaded. Tried in a separate process, as a native module may crash it. */
function loads(name) {
  const { status } = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(name)})`], {
    cwd: root,
    stdio: 'ignore',
  });
  return status === 0;
}

/**
 * npm leaves out an optional package that fails to install, without a message or a retry. So load each one here. One that
 * fails is rebuilt if it is present; if it is missing, all packages are installed again.
 */
function repairOptionalModules() {
  const { optionalDependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const broken = () => Object.keys(optionalDependencies).filter((name) => !loads(name));
  let left = broken();
  // Without its library, or on another processor, a second attempt would fail as well.
  if (left.length === 0 || process.arch !== 'x64' || missingPackages(MODULE_PACKAGES)?.length > 0) {
    if (left.length > 0) console.error(`optional npm packages that do not load here: ${left.join(' ')}`);
    return;
  }
  const there = left.filter((name) => existsSync(join(root, 'node_modules', name, 'package.json')));
  if (there.length > 0) {
    console.error(`rebuilding npm packages that do not load: ${there.join(' ')} (npm rebuild)`);
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

/** The packages that are not installed; undefined on a system without dpkg. */
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
 * Runs apt-get install. Services in the packages (smbd, rpcbind, nfs-ganesha) must not start: a temporary policy-rc.d
 * prevents it, unless the machine already has one.
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

/** Installs the missing packages if it can, else prints their names. Returns true if all are installed. */
function ensurePackages(packages, purpose) {
  const missing = missingPackages(packages);
  if (missing?.length === 0) return true;
  const names = (missing ?? packages).join(' ');
  if (missing === undefined) {
    console.error(`${purpose} Debian packages, but this is not a Debian system: ${names}`);
    return false;
  }
  if (process.getuid() === 0 && aptInstall(missing)) return true;
  const why = process.getuid() === 0 ? 'apt-get could not install them' : 'only root can install them';
  const still = missingPackages(packages).join(' ');
  console.error(`${purpose} Debian packages that are missing, and ${why}. Install them with:`);
  console.error(`  apt-get update && apt-get install --no-install-recommends ${still}`);
  return false;
}

/** Runs `command`, forwards signals to it and exits with its exit code. */
function become(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
    // A terminal sends SIGINT and SIGQUIT to the whole process group, so the child has already received them.
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

/** For `.ci/run`: installs only, as it builds and lints before it tests. */
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

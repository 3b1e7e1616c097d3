import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defer } from './cleanup.mjs';

/**
 * A network namespace for the run, for fixed ports and rpcbind on 111, which are not visible outside. Every process dies
 * with the driver (PDEATHSIG), even if the driver is killed.
 * @typedef {object} Sandbox
 * @property {string} folder scratch space, removed at the end
 * @property {string} namespace
 *
 * @typedef {object} Service
 * @property {import('node:child_process').ChildProcess} child
 * @property {string} log path of its output
 * @property {() => Promise<void>} stop
 */

const NAME = 'hfbench-';

/**
 * @param {string} command
 * @param {string[]} args
 */
function quietly(command, ...args) {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
  } catch {
    // It did not exist: nothing to undo.
  }
}

/** Removes the mounts, folder and namespace of killed runs. Their processes have already ended. */
function sweep() {
  const alive = (/** @type {string} */ pid) => existsSync(`/proc/${pid}`);
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  for (const entry of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${NAME}(\\d+)-`).exec(entry)?.[1];
    if (!pid || alive(pid)) continue;
    const folder = join(tmpdir(), entry);
    for (const line of mounts) {
      const mountPoint = line.split(' ')[1];
      if (mountPoint?.startsWith(`${folder}/`)) quietly('umount', '-l', mountPoint);
    }
    rmSync(folder, { recursive: true, force: true });
  }
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  for (const name of namespaces) {
    const pid = new RegExp(`^${NAME}(\\d+)$`).exec(name)?.[1];
    if (pid && !alive(pid)) quietly('ip', 'netns', 'del', name);
  }
}

/** @returns {Sandbox} */
export function createSandbox() {
  sweep();
  const folder = mkdtempSync(join(tmpdir(), `${NAME}${process.pid}-`));
  // smbd enters the folder as another user.
  chmodSync(folder, 0o711);
  defer(() => rmSync(folder, { recursive: true, force: true }));
  const namespace = `${NAME}${process.pid}`;
  execFileSync('ip', ['netns', 'add', namespace]);
  defer(() => quietly('ip', 'netns', 'del', namespace));
  execFileSync('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
  return { folder, namespace };
}

/**
 * The command that runs `argv` inside the namespace.
 * @param {Sandbox} sandbox
 * @param {string[]} argv
 * @param {{ isolated?: boolean }} [options] isolated: also in separate mount and PID namespaces
 */
export function inside(sandbox, argv, options = {}) {
  const isolation = options.isolated
    ? ['unshare', '--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc']
    : [];
  return [
    'setpriv',
    '--pdeathsig',
    'KILL',
    'nsenter',
    `--net=/run/netns/${sandbox.namespace}`,
    ...isolation,
    ...argv,
  ];
}

/**
 * Starts a process that lives until it is stopped or the run ends.
 * @param {Sandbox} sandbox
 * @param {string} name for its log file
 * @param {string[]} argv
 * @param {{ env?: Record<string, string>, grace?: number }} [options]
 * grace: milliseconds from SIGTERM to SIGKILL; 0 kills at once
 * @returns {Service}
 */
export function startService(sandbox, name, argv, options = {}) {
  const log = join(sandbox.folder, `${name}.log`);
  const output = openSync(log, 'w');
  const child = spawn(argv[0] ?? '', argv.slice(1), {
    stdio: ['ignore', output, output],
    env: { ...process.env, ...options.env },
  });
  closeSync(output);
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.once('error', (error) => console.error(`${name}: ${error.message}`));
  const cancel = defer(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  });
  const stop = async () => {
    if (options.grace) {
      child.kill('SIGTERM');
      await Promise.race([ended, sleep(options.grace, undefined, { ref: false })]);
    }
    cancel();
    await ended;
  };
  return { child, log, stop };
}

/**
 * @param {Service} service
 * @param {string} what
 */
function diedWith(service, what) {
  const tail = readFileSync(service.log, 'utf8').trim().split('\n').slice(-15).join('\n');
  return new Error(`${what}\n${tail}`);
}

/**
 * Polls until `probe` answers something.
 * @template T
 * @param {Service} service
 * @param {string} what
 * @param {() => T | undefined} probe
 * @returns {Promise<T>}
 */
export async function waitFor(service, what, probe) {
  for (let waited = 0; waited < 30_000; waited += 50) {
    const found = probe();
    if (found !== undefined) return found;
    if (service.child.exitCode !== null || service.child.signalCode !== null) {
      throw diedWith(service, `${what}: the process ended`);
    }
    await sleep(50);
  }
  throw diedWith(service, `${what}: not ready after 30 s`);
}

/**
 * @param {Sandbox} sandbox
 * @param {number} port
 * @returns {true | undefined} true once something listens there
 */
export function listening(sandbox, port) {
  const argv = inside(sandbox, ['ss', '-Hltn', `sport = :${port}`]);
  return execFileSync(argv[0] ?? '', argv.slice(1), { encoding: 'utf8' }).includes(`:${port}`)
    ? true
    : undefined;
}

/**
 * Runs a command inside the namespace to its end and returns its output.
 * @param {Sandbox} sandbox
 * @param {string[]} command
 * @returns {Promise<string>}
 */
export function runInside(sandbox, command) {
  const argv = inside(sandbox, command);
  const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  const cancel = defer(() => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => (errors += text));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command.join(' ')}: ${signal ?? `exit ${code}`}\n${errors.trim()}`));
    });
  }).finally(cancel);
}

/**
 * Resident memory of a process and all below it.
 * @param {number} pid
 */
export function residentBytes(pid) {
  const read = (/** @type {string} */ path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      // It has just ended.
      return '';
    }
  };
  let bytes = Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
  for (const child of read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean))
    bytes += residentBytes(Number(child));
  return bytes;
}

/**
 * @param {Sandbox} sandbox
 * @param {string} name
 */
export function makeFolder(sandbox, name) {
  const folder = join(sandbox.folder, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/**
 * @param {string} mountPoint
 */
export function unmountLater(mountPoint) {
  return defer(() => quietly('umount', '-l', mountPoint));
}

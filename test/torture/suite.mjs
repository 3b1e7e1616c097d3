/**
 * Runs single smbtorture tests: each gets a new server and a separate process with a time limit. Parses its subunit output.
 */
import { Buffer } from 'node:buffer';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { clearTimeout, setTimeout } from 'node:timers';
import { setTimeout as delay } from 'node:timers/promises';

const OUTPUT_LIMIT = 1 << 20;

/** Names of smbtorture's `smb2` list, as `smbtorture --list` prints them. `root`: see `command`. */
export function listTests(root) {
  const folder = mkdtempSync(join(tmpdir(), 'torture-'));
  try {
    const [program, ...args] = command(root, folder, 'smbtorture', '--configfile=/dev/null', '--list');
    const names = execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return names.split('\n').filter((name) => name.startsWith('smb2.'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Makes $1 the root, with this system's devices and with $2 as /tmp. Runs in a private mount namespace. */
const ENTER_ROOT = `set -e
root=$1 folder=$2
shift 2
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind "$folder" "$root/tmp"
exec chroot "$root" /bin/busybox sh -c 'cd /tmp && exec "$@"' sh "$@"
`;

/** The command line of a Samba program: the system's, or the one of the distribution in `root`. */
export function command(root, folder, program, ...args) {
  if (root === undefined) return [program, ...args];
  const enter = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', ENTER_ROOT, 'sh'];
  return [...enter, root, folder, program, ...args];
}

/** `smb2.lock.valid-request.valid-request` belongs to `lock`. */
export const groupOf = (name) => name.split('.')[1];

/** Special server settings for some tests, by the beginning of the test's name. */
const ENVIRONMENTS = {
  'smb2.session-require-signing.': { SMB_SIGNING: 'required' },
  'smb2.create_no_streams.': { SMB_STREAMS: 'off' },
  'smb2.ioctl.compress_notsup_': { SMB_COMPRESSION: 'off' },
  'smb2.replay.replay5.': { SMB_PERSISTENT: 'on' },
  'smb2.durable-v2-open.persistent-open-': { SMB_PERSISTENT: 'on' },
  // These tests expect that an unknown user name is refused and not mapped to guest.
  'smb2.secleak.': { SMB_GUESTS: 'off' },
  'smb2.notify.invalid-reauth.': { SMB_GUESTS: 'off' },
};

/** Time limits in seconds for tests that wait for a long time themselves. */
const LONG = { 'smb2.notify.mask.mask': 240 };

const environmentOf = (name) =>
  Object.entries(ENVIRONMENTS).find(([prefix]) => name.startsWith(prefix))?.[1] ?? {};

const running = new Set();

/** Kills every child that still runs. */
export function stopAll() {
  for (const child of running) killGroup(child);
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

function start(command, args, options) {
  const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

function collect(stream) {
  const chunks = [];
  let length = 0;
  stream.on('data', (chunk) => {
    if (length < OUTPUT_LIMIT) chunks.push(chunk);
    length += chunk.length;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

/** Starts the in-memory backend's server. Returns its port and its error output so far. */
async function startServer({ script }, environment) {
  const child = start(process.execPath, [script, '0'], {
    env: { ...process.env, ...environment },
  });
  const complaints = collect(child.stderr);
  const closed = once(child, 'close').then(() => {
    throw new Error(`${script} ended before it listened: ${complaints()}`);
  });
  const [port] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), closed]);
  closed.catch(() => undefined);
  return { port: Number(port), complaints, stop: () => killGroup(child) };
}

/** Parses subunit output. The result words are `success`, `failure`, `error` and `skip`; a reason follows in brackets. */
export function parseSubunit(output) {
  let status;
  for (const [, word] of output.matchAll(/^(success|failure|error|skip): /gm)) {
    if (word === 'failure' || word === 'error') status = 'fail';
    else status ??= word === 'success' ? 'pass' : 'skip';
  }
  const reason = /^(?:failure|error|skip): .* \[\n([^]*?)\n\]/m.exec(output)?.[1] ?? '';
  return { status: status ?? 'fail', reason: reason.replaceAll(/\(?\S*\/(source\d\/\S+?:\d+)\)?:?/g, '$1') };
}

/** Settings of smbd for comparison, similar to those of Samba's own tests: everything that the tests need is enabled. */
function smbdSettings(port, environment) {
  const streams = environment.SMB_STREAMS === 'off' ? '' : 'streams_xattr';
  const share = (name) => `[${name}]\npath = /tmp/${name}\nread only = no\n`;
  return `[global]
smb ports = ${port}
interfaces = lo
bind interfaces only = yes
${['private', 'lock', 'state', 'cache', 'pid', 'ncalrpc'].map((name) => `${name} ${name === 'ncalrpc' ? 'dir' : 'directory'} = /tmp/smbd\n`).join('')}
log file = /tmp/smbd/log
workgroup = WORKGROUP
load printers = no
server multi channel support = yes
server signing = ${environment.SMB_SIGNING === 'required' ? 'mandatory' : 'auto'}
kernel oplocks = no
kernel share modes = no
posix locking = no
ea support = yes
store dos attributes = yes
create mask = 0777
directory mask = 0777
vfs objects = acl_xattr ${streams}
${['rw', 'rw2', 'rw3', 'rw4', 'rw5'].map(share).join('')}`;
}

/** Starts the smbd of the unpacked Samba with empty shares. */
async function startSmbd({ root }, environment, folder) {
  const port = await freePort();
  for (const name of ['smbd', 'rw', 'rw2', 'rw3', 'rw4', 'rw5']) {
    mkdirSync(join(folder, name));
    chmodSync(join(folder, name), 0o777);
  }
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'smb.conf'), smbdSettings(port, environment));
  for (const [name, password] of [
    ['user', 'pass'],
    ['second', 'pass2'],
  ]) {
    const [program, ...args] = command(root, folder, 'smbpasswd', '-c', '/tmp/smb.conf', '-a', '-s', name);
    execFileSync(program, args, { input: `${password}\n${password}\n`, stdio: ['pipe', 'ignore', 'pipe'] });
  }
  const options = ['--foreground', '--no-process-group', '--debug-stdout', '--configfile=/tmp/smb.conf'];
  const [program, ...args] = command(root, folder, 'smbd', ...options);
  const child = start(program, args, {});
  const complaints = collect(child.stdout);
  const ended = once(child, 'close').then(() => {
    throw new Error(`smbd ended before it listened: ${complaints()}`);
  });
  await Promise.race([accepts(port), ended]);
  ended.catch(() => undefined);
  return { port, complaints, stop: () => killGroup(child) };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when the port accepts connections. */
async function accepts(port) {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const accepted = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (accepted) return;
    await delay(20);
  }
}

function torture(name, port, settings) {
  const args = [
    ...[`//127.0.0.1/rw`, '-p', String(port), '-U', 'user%pass', '--configfile=/dev/null'],
    ...['--option=torture:user2name=second', '--option=torture:user2password=pass2'],
    ...['--option=torture:user2domain=WORKGROUP', '--option=torture:share2=rw2'],
    // The file that tests of single controls use.
    ...['--option=torture:filename=testfile', '--option=torture:offset=0'],
    ...settings.options.map((option) => `--option=${option}`),
    name,
  ];
  const [program, ...rest] = command(settings.root, settings.folder, 'smbtorture', ...args);
  return start(program, rest, { cwd: settings.folder });
}

/**
 * Runs one test. `settings`: `script` (of the server, or undefined for smbd), `root` (of another Samba than the system's),
 * `seconds` (time limit), `options` (more smb.conf settings).
 * @returns {Promise<{name: string, status: 'pass'|'fail'|'skip'|'timeout', reason: string, seconds: number,
 *   output: string, server: string}>}
 */
export async function runTest(name, settings) {
  const folder = mkdtempSync(join(tmpdir(), 'torture-'));
  const begin = settings.script === undefined ? startSmbd : startServer;
  const server = await begin(settings, environmentOf(name), folder);
  const began = process.hrtime.bigint();
  try {
    const child = torture(name, server.port, { ...settings, folder });
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    let expired = false;
    const limit = Math.max(settings.seconds, LONG[name] ?? 0);
    const timer = setTimeout(() => {
      expired = true;
      killGroup(child);
    }, limit * 1000);
    const [code, signal] = await once(child, 'close');
    clearTimeout(timer);
    const output = stdout();
    const parsed = parseSubunit(output);
    const dead = signal !== null || (code !== 0 && parsed.status === 'pass');
    if (expired) Object.assign(parsed, { status: 'timeout', reason: `not done after ${limit} s` });
    else if (dead)
      Object.assign(parsed, { status: 'fail', reason: `smbtorture ended with ${signal ?? code}` });
    const seconds = Number((process.hrtime.bigint() - began) / 1_000_000n) / 1000;
    return { name, ...parsed, seconds, output: output + stderr(), server: server.complaints() };
  } finally {
    server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

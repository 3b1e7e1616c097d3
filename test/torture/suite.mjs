/**
 * One smbtorture test at a time: a server of its own, a process of its own under a time limit, its subunit output
 * read.
 */
import { Buffer } from 'node:buffer';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { clearTimeout, setTimeout } from 'node:timers';

const OUTPUT_LIMIT = 1 << 20;

/** Names of smbtorture's `smb2` list, as `smbtorture --list` prints them. */
export function listTests() {
  const names = execFileSync('smbtorture', ['--configfile=/dev/null', '--list'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return names.split('\n').filter((name) => name.startsWith('smb2.'));
}

/** `smb2.lock.valid-request.valid-request` belongs to `lock`. */
export const groupOf = (name) => name.split('.')[1];

/** Servers that are set up in another way than all others, by the beginning of the test's name. */
const ENVIRONMENTS = {
  'smb2.session-require-signing.': { SMB_SIGNING: 'required' },
  'smb2.create_no_streams.': { SMB_STREAMS: 'off' },
  'smb2.ioctl.compress_notsup_': { SMB_COMPRESSION: 'off' },
  'smb2.replay.replay5.': { SMB_PERSISTENT: 'on' },
  'smb2.durable-v2-open.persistent-open-': { SMB_PERSISTENT: 'on' },
  // These take it for a leak when a wrong name is good enough for a guest.
  'smb2.secleak.': { SMB_GUESTS: 'off' },
  'smb2.notify.invalid-reauth.': { SMB_GUESTS: 'off' },
};

/** Seconds for tests that wait a lot by themselves. */
const LONG = { 'smb2.notify.mask.mask': 240 };

const environmentOf = (name) =>
  Object.entries(ENVIRONMENTS).find(([prefix]) => name.startsWith(prefix))?.[1] ?? {};

const running = new Set();

/** Ends every child that is still there. */
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

/** Starts the in-memory backend's server; its port, and what it complained about so far. */
async function startServer(script, environment) {
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

/** What subunit said: the result words are `success`, `failure`, `error` and `skip`, a reason follows in brackets. */
export function parseSubunit(output) {
  let status;
  for (const [, word] of output.matchAll(/^(success|failure|error|skip): /gm)) {
    if (word === 'failure' || word === 'error') status = 'fail';
    else status ??= word === 'success' ? 'pass' : 'skip';
  }
  const reason = /^(?:failure|error|skip): .* \[\n([^]*?)\n\]/m.exec(output)?.[1] ?? '';
  return { status: status ?? 'fail', reason: reason.replaceAll(/\(?\S*\/(source\d\/\S+?:\d+)\)?:?/g, '$1') };
}

function torture(name, port, settings) {
  const args = [
    ...[`//127.0.0.1/rw`, '-p', String(port), '-U', 'user%pass', '--configfile=/dev/null'],
    ...['--option=torture:user2name=second', '--option=torture:user2password=pass2'],
    ...['--option=torture:user2domain=WORKGROUP', '--option=torture:share2=rw2'],
    // What the tests of single controls work on.
    ...['--option=torture:filename=testfile', '--option=torture:offset=0'],
    ...settings.options.map((option) => `--option=${option}`),
    name,
  ];
  return start('smbtorture', args, { cwd: settings.folder });
}

/**
 * Runs one test. `settings`: `server` (script), `seconds` (time limit), `options` (more smb.conf settings).
 * @returns {Promise<{name: string, status: 'pass'|'fail'|'skip'|'timeout', reason: string, seconds: number,
 *   output: string, server: string}>}
 */
export async function runTest(name, settings) {
  const folder = mkdtempSync(join(tmpdir(), 'torture-'));
  const server = await startServer(settings.server, environmentOf(name));
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

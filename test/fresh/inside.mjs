/** Runs on the fresh machine, in the clone: `start`, or `test` with the arguments of `npm test`. */
import { Buffer } from 'node:buffer';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { clearTimeout, setTimeout } from 'node:timers';
import { pathToFileURL } from 'node:url';

/** Milliseconds: installing and building are part of it. */
const startTimeout = 600_000;
const stopTimeout = 40_000;

/** The fresh machine shares the host's network, so listen on loopback and free ports only. */
const addresses = ['--nfs', '127.0.0.1:0', '--smb', '127.0.0.1:0', '--admin', '127.0.0.1:0'];

class Failure extends Error {}

function check(holds, what) {
  if (!holds) throw new Failure(what);
  console.log(`ok: ${what}`);
}

/** Mounts with a type that begins with fuse: `/mount/point type`. */
function fuseMounts() {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'fuse' || type?.startsWith('fuse.'))
    .map(([, point]) => point);
}

/** Runs `npm start` and collects its output. Returns once the demo prints how to end it. */
async function startDemo() {
  const child = spawn('npm', ['start', '--', ...addresses], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  let text = '';
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Failure('npm start took too long')), startTimeout);
    child.stdout.on('data', (chunk) => {
      process.stdout.write(chunk);
      text += chunk;
      if (!text.includes('Ctrl-C ends the demo.')) return;
      clearTimeout(timer);
      resolve();
    });
    child.on('exit', () => reject(new Failure('npm start has ended')));
  });
  return { child, ended, text };
}

/** The port that the demo logged for a protocol. */
function portOf(text, protocol) {
  for (const line of text.split('\n')) {
    if (!line.startsWith('{')) continue;
    const entry = JSON.parse(line);
    if (entry.msg === 'listening' && entry.protocol === protocol) return entry.port;
  }
  throw new Failure(`the demo does not listen for ${protocol}`);
}

/** Names in the root of the export, by NFS. */
async function namesByNfs(port) {
  const load = (module) => import(pathToFileURL(`protocols/nfs-rpc/dist/${module}.js`).href);
  const { RpcClient } = await load('rpc/client');
  const { directoryPath, mountResult } = await load('mount/wire');
  const { readdirShape } = await load('nfs3/readdir');
  const { results } = await load('nfs3/wire');
  const common = { host: '127.0.0.1', port, version: 3, timeoutMs: 20_000 };
  const mount = await RpcClient.open({ ...common, program: 100005 });
  const { handle } = await mount.call(1, directoryPath, '/dfs', mountResult);
  mount.close();
  const nfs = await RpcClient.open({ ...common, program: 100003 });
  const args = { directory: handle, cookie: 0, verifier: Buffer.alloc(8), count: 65536 };
  const codec = results(readdirShape.ok, readdirShape.failed);
  const { entries } = await nfs.call(16, readdirShape.args, args, codec);
  nfs.close();
  return entries.map(({ name }) => name).filter((name) => name !== '.' && name !== '..');
}

async function start() {
  check(!existsSync('node_modules'), 'nothing is installed yet');
  const { child, ended, text } = await startDemo();
  try {
    check(!text.includes('No FUSE here'), 'the demo serves no plain folder');
    const answer = await globalThis.fetch(`http://127.0.0.1:${portOf(text, 'admin')}/readyz`);
    const [served] = (await answer.json()).exports;
    check(served.state === 'live', `the source is ${served.state}`);
    check(fuseMounts().includes(served.path), `a FUSE tree is mounted at ${served.path}`);
    const names = await namesByNfs(portOf(text, 'nfs'));
    check(names.length > 0, `NFS lists ${names.join(' ')}`);
  } finally {
    child.kill('SIGTERM');
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeout);
  const [code, signal] = await ended;
  clearTimeout(timer);
  check(code === 0, `npm start ends at SIGTERM with exit code ${code ?? signal}`);
  check(fuseMounts().length === 0, 'nothing is left mounted');
}

/** Removes the optional package, as `npm ci` on a machine without libfuse 2 leaves it out, and repairs the installation. */
async function repair() {
  rmSync('node_modules/fuse-native', { recursive: true });
  const child = spawn('node', ['deploy/bootstrap.mjs', 'install'], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  check(code === 0, 'the packages are looked at again');
  const loaded = spawnSync('node', ['-e', "require('fuse-native')"], { stdio: 'inherit' });
  check(loaded.status === 0, 'an optional package that was missing is there');
}

async function test(args) {
  const child = spawn('npm', ['test', ...(args.length > 0 ? ['--', ...args] : [])], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  check(code === 0, `npm test ends with exit code ${code}`);
}

const [what, ...args] = process.argv.slice(2);
try {
  if (what === 'start') await start().then(repair);
  else await test(args);
} catch (error) {
  console.error(error instanceof Failure ? `failed: ${error.message}` : error);
  process.exit(1);
}
process.exit(0);

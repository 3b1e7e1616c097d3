/**
 * `npm run test:fresh`: runs the two commands of the README on a machine that has only git, Node and npm.
 *
 * The machine is a minimal Debian made by debootstrap, entered by pivot_root in new mount and process namespaces. It uses this
 * machine's network and registry settings (apt, npm, proxies, certificates, resolv.conf) and holds a fresh clone of the
 * committed files.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeMachine, machineEnvironment } from './machine.mjs';

const USAGE = `Usage: npm run test:fresh -- [start|test] [options] [-- ARGUMENT…]

  start           \`npm start\` alone: it must serve a FUSE tree and end at SIGTERM
  test            \`npm test\` alone; the arguments are for it, such as src/tree or test/smb-clients.test.ts
                  (neither: both, in this order)
  --revision REV  clone this commit (HEAD)
  --keep          leave the machine's folder behind
`;

/** Runs as root outside and becomes PID 1 inside. The shell stays and reaps orphans, as an init does. */
const ENTER = `
set -e
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
cd "$root/dev"
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 fuse:10:229; do
  IFS=: read -r name major minor <<EOF
$node
EOF
  mknod -m 666 "$name" c "$major" "$minor"
done
mkdir net pts shm
mknod -m 666 net/tun c 10 200
mount -t devpts -o newinstance,ptmxmode=0666 devpts pts
ln -s pts/ptmx ptmx
ln -s /proc/self/fd fd
mount -t tmpfs -o mode=1777 tmpfs shm
cd "$root"
mkdir -p outside
pivot_root . outside
cd /
umount -l /outside
rmdir /outside
cd /root/holdfast
status=0
node /root/inside.mjs "$@" || status=$?
exit "$status"
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    revision: { type: 'string', default: 'HEAD' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const [which, ...testArguments] = positionals;
if (which !== undefined && which !== 'start' && which !== 'test') fail(USAGE);
if (process.getuid() !== 0) fail('root is needed: to mount, and to make device nodes');
for (const tool of ['debootstrap', 'unshare', 'pivot_root', 'git']) {
  if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
    fail(`${tool} is missing (Debian packages debootstrap, util-linux, git)`);
}

function fail(message) {
  console.error(message);
  process.exit(2);
}

/** Resolves with the exit code. `--kill-child` and the process namespace leave nothing running behind. */
function enter(root, ...args) {
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc=/proc'];
  const child = spawn('unshare', [...namespaces, 'sh', '-c', ENTER, 'sh', root, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: machineEnvironment(process.env),
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => child.kill('SIGKILL'));
  return new Promise((resolve) => {
    child.on('error', (error) => fail(error.message));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

const folder = mkdtempSync(join(tmpdir(), 'holdfast-fresh-'));
process.on('exit', () => {
  if (values.keep) console.error(`left behind: ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
});
const repository = fileURLToPath(new URL('../..', import.meta.url));
const root = join(folder, 'root');
makeMachine(root, repository, values.revision);
let code = 0;
if (which !== 'test') code = await enter(root, 'start');
if (code === 0 && which !== 'start') code = await enter(root, 'test', ...testArguments);
process.exit(code);

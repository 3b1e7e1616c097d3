import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** An unpacked user-mode-linux. */
export interface Kernel {
  /** `system`, or the Debian suite that it comes from. */
  readonly name: string;
  /** The release, as `uname -r` prints it in the guest. */
  readonly release: string;
  /** The folder that holds its modules in a folder named after the release. */
  readonly modules: string;
  /** The root folder for a kernel that needs newer libraries than the system has. */
  readonly root?: string;
}

export const BUSYBOX = '/usr/bin/busybox';
/** Optional modules: some kernels have them built in or no longer have them. fuse is for the guard of `holdfast mount`. */
const HELPERS = 'fuse cmac ccm gcm ghash-generic seqiv ctr ecb sha512_generic hmac md4 des_generic nls_utf8';
/** No module is larger. */
const MODULE_BYTES = 64 * 1024 * 1024;
/** Modules that the kernel client needs. */
const REQUIRED = 'cifs nfs nfsv3 nfsv4';
/** Cache for all runs: initial file systems, fetched kernels, and which of them boot. */
export const cacheFolder = fileURLToPath(new URL('../../node_modules/.cache/holdfast-uml/', import.meta.url));

/**
 * The guest's first process. The host (uml.ts) sends commands as lines on tty1: `run ID`, `kill ID SIGNAL`, `flag NAME`,
 * `off`. The guest reports `ready`, `done ID CODE`, `mark ID NAME`. Scripts and outputs go through files in /host, which
 * hostfs writes back when they are closed. A fork takes some 10 ms in the guest, so this uses shell built-ins. `mark` and
 * `await_flag` are commands for the guest's scripts.
 */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
mkdir -p /tmp/flags
for module in $(cat /modules/order); do insmod $module; done
mount -t hostfs none /host -o "$(sed 's/.*hostfolder=\\([^ ]*\\).*/\\1/' /proc/cmdline)"
ip link set lo up
ip address add 10.99.0.2/24 dev vec0
ip link set vec0 up
exec </dev/tty1 >/dev/tty1 2>/dev/console
stty raw -echo
job() {
  export JOB=$1
  ( . /host/$JOB.sh ) </dev/null >/host/$JOB.out 2>/host/$JOB.err
  echo "done $JOB $?"
}
kill_children() {
  local child
  # cat, since awk gives up at a process that has ended meanwhile.
  for child in $(cat /proc/[0-9]*/stat 2>/dev/null | awk -v parent=$2 '$4 == parent { print $1 }'); do
    kill_children $1 $child
    kill -s $1 $child
  done
}
echo ready
while read -r what id argument; do
  case $what in
    run) job $id & eval pid_$id=$! ;;
    kill) eval kill_children $argument \\$pid_$id & ;;
    flag) : >/tmp/flags/$id ;;
    off) break ;;
  esac
done
poweroff -f
`;

const MARK = `#!/bin/sh
echo "mark $JOB $1" >/dev/tty1
`;

const AWAIT_FLAG = `#!/bin/sh
until [ -e "/tmp/flags/$1" ]; do sleep 0.01; done
`;

/** The modules and their dependencies, in the order for insmod. */
function moduleClosure(base: string, version: string): string[] {
  const needs = (name: string) =>
    execFileSync('modprobe', ['-d', base, '-S', version, '--show-depends', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const needsIfThere = (name: string) => {
    try {
      return needs(name);
    } catch {
      return '';
    }
  };
  const listings = [...HELPERS.split(' ').map(needsIfThere), ...REQUIRED.split(' ').map(needs)];
  // Built-in modules have lines that begin with `builtin`: skip them.
  const lines = listings.flatMap((listing) => listing.split('\n'));
  return [...new Set(lines.flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []))];
}

/** Copies a module into the image, unpacked, as the guest's insmod cannot unpack. Returns its path in the guest. */
function addModule(file: string, root: string): string {
  const path = `/modules/${basename(file, '.xz')}`;
  if (file.endsWith('.xz')) {
    writeFileSync(join(root, path), execFileSync('xz', ['-dc', file], { maxBuffer: MODULE_BYTES }));
  } else {
    copyFileSync(file, join(root, path));
  }
  return path;
}

function build({ modules, release }: Kernel, target: string): void {
  const work = mkdtempSync(join(tmpdir(), 'holdfast-initramfs-'));
  try {
    const base = join(work, 'base');
    mkdirSync(join(base, 'lib'), { recursive: true });
    symlinkSync(modules, join(base, 'lib/modules'));
    if (!existsSync(join(modules, release, 'modules.dep'))) execFileSync('depmod', ['-b', base, release]);
    const root = join(work, 'root');
    for (const folder of ['bin', 'dev', 'proc', 'sys', 'tmp', 'host', 'mnt', 'modules']) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    const order = moduleClosure(base, release).map((file) => addModule(file, root));
    writeFileSync(join(root, 'modules/order'), order.join('\n'));
    copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
    const scripts = { init: INIT, 'bin/mark': MARK, 'bin/await_flag': AWAIT_FLAG };
    for (const [path, text] of Object.entries(scripts)) {
      writeFileSync(join(root, path), text);
      chmodSync(join(root, path), 0o755);
    }
    const image = join(work, 'image');
    execFileSync('sh', ['-c', 'find . | cpio --quiet -o -H newc >"$1"', 'sh', image], { cwd: root });
    mkdirSync(dirname(target), { recursive: true });
    const staged = `${target}.${String(process.pid)}`;
    copyFileSync(image, staged);
    renameSync(staged, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The path of a kernel's initramfs (in its root if it has one). Built once for each version of its contents. */
export function initramfs(kernel: Kernel): string {
  if (!existsSync(BUSYBOX)) throw new Error(`${BUSYBOX} is missing: "npm test" installs what the tests need`);
  const recipe = createHash('sha256')
    .update([HELPERS, REQUIRED, INIT, MARK, AWAIT_FLAG].join('\0'))
    .digest('hex');
  const folder = kernel.root === undefined ? cacheFolder : join(kernel.root, 'boot');
  const target = join(folder, `${kernel.release}-${recipe.slice(0, 12)}.cpio`);
  if (!existsSync(target)) build(kernel, target);
  return target;
}

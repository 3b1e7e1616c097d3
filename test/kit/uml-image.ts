import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MODULES_ROOT = '/usr/lib/uml/modules';
const BUSYBOX = '/usr/bin/busybox';
const MODULES =
  'cmac ccm gcm ghash-generic seqiv ctr ecb sha512_generic hmac md4 des_generic nls_utf8 cifs nfs nfsv3 nfsv4';
const cacheFolder = fileURLToPath(new URL('../../node_modules/.cache/holdfast-uml/', import.meta.url));

/**
 * The guest's first process. Lines on tty1 tell it what to do and tell the host what happened (uml.ts):
 * `run ID`, `kill ID SIGNAL`, `flag NAME`, `off`; `ready`, `done ID CODE`, `mark ID NAME`. What may be long goes
 * through files in /host, which hostfs writes back when they are closed. A fork costs some 10 ms in here, hence
 * the shell's own means. `mark` and `await_flag` are commands for the guest's scripts.
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
  for child in $(awk -v parent=$2 '$4 == parent { print $1 }' /proc/[0-9]*/stat); do
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

/** The modules and all they need, in the order in which insmod takes them. */
function moduleClosure(base: string, version: string): string[] {
  const files = new Set<string>();
  for (const name of MODULES.split(' ')) {
    const listing = execFileSync('modprobe', ['-d', base, '-S', version, '--show-depends', name], {
      encoding: 'utf8',
    });
    for (const line of listing.split('\n')) {
      const file = /^insmod (\S+)/.exec(line)?.[1];
      if (file !== undefined) files.add(file);
    }
  }
  return [...files];
}

function build(version: string, target: string): void {
  const work = mkdtempSync(join(tmpdir(), 'holdfast-initramfs-'));
  try {
    const base = join(work, 'base');
    mkdirSync(join(base, 'lib'), { recursive: true });
    symlinkSync(MODULES_ROOT, join(base, 'lib/modules'));
    const root = join(work, 'root');
    for (const folder of ['bin', 'dev', 'proc', 'sys', 'tmp', 'host', 'mnt', 'modules']) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    const order = moduleClosure(base, version).map((file) => {
      copyFileSync(file, join(root, 'modules', basename(file)));
      return `/modules/${basename(file)}`;
    });
    writeFileSync(join(root, 'modules/order'), order.join('\n'));
    copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
    const scripts = { init: INIT, 'bin/mark': MARK, 'bin/await_flag': AWAIT_FLAG };
    for (const [path, text] of Object.entries(scripts)) {
      writeFileSync(join(root, path), text);
      chmodSync(join(root, path), 0o755);
    }
    const image = join(work, 'image');
    execFileSync('sh', ['-c', 'find . | cpio --quiet -o -H newc >"$1"', 'sh', image], { cwd: root });
    mkdirSync(cacheFolder, { recursive: true });
    const staged = `${target}.${String(process.pid)}`;
    copyFileSync(image, staged);
    renameSync(staged, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The path of the initramfs for the installed user-mode-linux; built once for each version of its contents. */
export function initramfs(): string {
  for (const path of [MODULES_ROOT, BUSYBOX]) {
    if (!existsSync(path)) throw new Error(`${path} is missing: "npm test" installs what the tests need`);
  }
  const version = readdirSync(MODULES_ROOT).at(-1);
  if (version === undefined) throw new Error(`${MODULES_ROOT} is empty`);
  const recipe = createHash('sha256').update([MODULES, INIT, MARK, AWAIT_FLAG].join('\0')).digest('hex');
  const target = join(cacheFolder, `${version}-${recipe.slice(0, 12)}.cpio`);
  if (!existsSync(target)) build(version, target);
  return target;
}

/** Starts a kernel as a process, and probes whether it boots on this machine. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { initramfs, type Kernel } from './uml-image.ts';

export interface BootOptions {
  /** The guest's memory in MiB. */
  readonly memoryMib: number;
  /** A folder below the system's temporary folder that the guest sees as /host. */
  readonly folder: string;
  /** A name below /run/netns whose tap device `uml0` becomes the guest's network. Default: the guest has none. */
  readonly netns?: string;
}

/** Whether a kernel boots on this machine. */
export interface Verdict {
  readonly boots: boolean;
  /** Why it does not. */
  readonly why?: string;
  /** Another attempt would give the same result. */
  readonly lasting: boolean;
}

/** A guest is ready after two to three seconds on an idle machine. */
const PROBE_MS = 60_000;
const OFF_MS = 5_000;
/** The exit code if the root could not be made, which is not the kernel's fault. */
const NOT_ENTERED = 99;

/**
 * Makes ROOT the root of a new mount namespace, with the few devices that a kernel needs and the temporary folder, and starts
 * the kernel there. The namespace must not keep the old root: its copies of FUSE mounts would outlive the mounts themselves.
 * Uses busybox, which needs no libraries inside or outside the root.
 */
const ENTER_ROOT = `set -e
trap '[ $? = 0 ] || exit ${NOT_ENTERED}' EXIT
root=$1 temporary=$2
shift 2
b=/usr/bin/busybox
$b mount --bind "$root" "$root"
cd "$root"
$b mount -t proc proc proc
$b mount -t tmpfs -o size=1m tmpfs dev
$b mkdir dev/net
for node in null zero random urandom net/tun; do
  : >dev/$node
  $b mount --bind /dev/$node dev/$node
done
$b mount --bind "$temporary" tmp
$b pivot_root . old
exec /bin/busybox chroot . /bin/busybox sh -c 'cd / && /bin/busybox umount -l /old && exec "$@"' sh "$@"
`;

/** Starts the kernel. Its console is on stdout; /init talks to the host through descriptor 3. */
export function boot(kernel: Kernel, { memoryMib, folder, netns }: BootOptions): ChildProcess {
  const image = initramfs(kernel);
  const { root } = kernel;
  const seen =
    root === undefined
      ? { program: 'linux.uml', image, folder, temporary: tmpdir() }
      : {
          program: '/usr/bin/linux.uml',
          image: `/${relative(root, image)}`,
          folder: `/tmp/${basename(folder)}`,
          temporary: '/tmp',
        };
  const command = [
    ...(netns === undefined ? [] : ['nsenter', `--net=/run/netns/${netns}`]),
    ...(root === undefined ? [] : ['unshare', '--mount', '--propagation', 'private']),
    ...(root === undefined ? [] : ['/usr/bin/busybox', 'sh', '-c', ENTER_ROOT, 'sh', root, tmpdir()]),
    seen.program,
    `mem=${memoryMib}M`,
    `initrd=${seen.image}`,
    'root=/dev/ram0',
    'rdinit=/init',
    `hostfolder=${seen.folder}`,
    // Without this, it leaves a folder in the home folder.
    `uml_dir=${seen.folder}/`,
    'con=null',
    'con0=null,fd:1',
    'con1=fd:3',
    // With gro=1 the guest takes the large segments that the host sends. Frames of 1500 bytes instead overrun its queue: with the
    // host's offloads off 6.12 stalled for minutes, and all kernels were slower.
    ...(netns === undefined ? [] : ['vec0:transport=tap,ifname=uml0,gro=1']),
    'quiet',
    'panic=-1',
  ];
  return spawn(command[0]!, command.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, TMPDIR: seen.temporary },
  });
}

/** Console lines of a kernel that cannot continue. Some kernels then hang instead of ending. */
const FATAL = /ptrace .*failed|kernel panic|not syncing/i;
/** A kernel that ends after a fatal line does so within this time. */
const FATAL_MS = 1_000;

/** The console line that best explains why a kernel did not boot. */
function reason(console: readonly string[]): string {
  const telling =
    console.find((line) => FATAL.test(line)) ??
    console.findLast((line) => /fail|error|cannot|not found|denied/i.test(line));
  return (telling ?? console.at(-1) ?? 'it said nothing').trim();
}

/** How a probe ends: the guest is ready, the kernel ends with an exit code, it fails but does not end, or time is over. */
type Outcome = 'ready' | 'gave up' | 'late' | { readonly code: number | null };

/** Resolves with the first outcome. Appends the console's lines to `said`. */
async function outcomeOf(child: ChildProcess, said: string[], timeoutMs: number): Promise<Outcome> {
  const enough = new AbortController();
  const after = async (ms: number, outcome: Outcome) => await delay(ms, outcome, { signal: enough.signal });
  try {
    return await new Promise<Outcome>((resolve, reject) => {
      for (const stream of [child.stdout!, child.stderr!]) {
        createInterface({ input: stream }).on('line', (line) => {
          said.push(line);
          if (FATAL.test(line)) after(FATAL_MS, 'gave up').then(resolve, () => undefined);
        });
      }
      createInterface({ input: child.stdio[3] as Duplex }).on('line', (line) => {
        if (line.trim() === 'ready') resolve('ready');
      });
      // After 'close' the last line of the console has been read.
      child.on('close', (code) => resolve({ code }));
      child.on('error', reject);
      after(timeoutMs, 'late').then(resolve, () => undefined);
    });
  } finally {
    enough.abort();
  }
}

async function judge(child: ChildProcess, timeoutMs: number): Promise<Verdict> {
  const said: string[] = [];
  const lines = child.stdio[3] as Duplex;
  lines.on('error', () => undefined);
  const outcome = await outcomeOf(child, said, timeoutMs);
  if (outcome === 'ready') {
    const off = once(child, 'close', { signal: AbortSignal.timeout(OFF_MS) });
    lines.write('off\n');
    await off.catch(() => undefined);
    return { boots: true, lasting: true };
  }
  const why = reason(said);
  if (outcome === 'late')
    return { boots: false, why: `not ready after ${timeoutMs} ms; ${why}`, lasting: false };
  const noRoot = said.some((line) => line.startsWith('unshare:'));
  return { boots: false, why, lasting: outcome === 'gave up' || (outcome.code !== NOT_ENTERED && !noRoot) };
}

/** Boots the kernel once without network, and ends it. */
export async function probe(kernel: Kernel, timeoutMs = PROBE_MS): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-probe-'));
  let child: ChildProcess | undefined;
  try {
    child = boot(kernel, { memoryMib: 128, folder });
    return await judge(child, timeoutMs);
  } catch (error) {
    return { boots: false, why: (error as Error).message, lasting: false };
  } finally {
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null)
      killGroup(child.pid);
    rmSync(folder, { recursive: true, force: true });
  }
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // It has already ended.
  }
}

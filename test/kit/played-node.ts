/**
 * A node of a cluster, played by the guest kernel: process 1 is the host; `holdfast mount` runs in a mount and a network namespace of
 * its own, with the propagation that Kubernetes gives a volume (Bidirectional); a consumer runs in another mount namespace
 * (HostToContainer).
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { makeContainerRoot } from './container-root.ts';
import { contentDigest, contentSeed, FuseTree, MIB, releasePath } from './fuse.ts';
import { Gateway } from './gateway.ts';
import { HOST_ADDRESS, KernelClient, type GuestJob } from './uml.ts';

export type MountedBy = 'nfs' | 'smb';

export const RELEASES = 50;
const VIDEO = 16 * MIB;
const OTHER_ADDRESS = '10.99.0.3';
const PORTS = { nfs: 2049, smb: 445 } as const;
/** The hostPath of the volume, on the node. */
const volume = '/srv/decypharr';
const path = releasePath(3, 'video.mkv');

/** As the container runtime does: the volume is a peer of the host's mount; nothing else of the container gets out. */
const pod = (command: string) => `
  exec unshare -m -n --propagation shared sh -ec '
    mount --make-private /host
    mount --rbind ${volume} /host/root/mnt/decypharr
    for folder in proc sys dev; do mount --rbind /$folder /host/root/$folder; done
    mount -t tmpfs tmpfs /host/root/run
    exec chroot /host/root ${command}'`;

/** What the consumer's pod has: the volume at /mnt, a slave of the host's. */
export const consumer = (script: string) => `
  exec unshare -m --propagation slave sh -ec '
    mount --rbind ${volume} /mnt
    mount --make-rslave /mnt
    ${script}'`;

/** How the mount of an address shows in the mount table. */
const originOf = (protocol: MountedBy, address: string) =>
  protocol === 'nfs' ? `${address}:/dfs` : `//${address}/dfs`;
const GUARD = 'holdfast-guard';
const WAIT_MS = 60_000;

/** A mounter in its pod. Its log is a file in the guest's /tmp. */
export class Pod {
  readonly #client: KernelClient;
  readonly #job: GuestJob;
  readonly #log: string;

  constructor(client: KernelClient, job: GuestJob, log: string) {
    this.#client = client;
    this.#job = job;
    this.#log = log;
  }

  /** Waits until a line of the log matches. */
  async logged(pattern: string): Promise<void> {
    const wait = this.#client.output(`until grep -qE '${pattern}' ${this.#log}; do sleep 0.1; done`, WAIT_MS);
    await wait.catch(async () => {
      throw new Error(`the mounter did not log ${pattern}:\n${await this.text()}`);
    });
  }

  text(): Promise<string> {
    return this.#client.output(`cat ${this.#log}`);
  }

  /** SIGTERM, as kubelet sends it. */
  async stop(): Promise<void> {
    this.#job.kill('TERM');
    await this.logged('asked to stop');
    expect((await this.#job.result).code, await this.text()).toBe(0);
  }
}

export class PlayedNode {
  readonly client: KernelClient;
  readonly #fuse: FuseTree;
  #gateway: Gateway | undefined;
  #pods = 0;

  private constructor(client: KernelClient, fuse: FuseTree) {
    this.client = client;
    this.#fuse = fuse;
  }

  static async start(): Promise<PlayedNode> {
    const fuse = await FuseTree.start({ releases: RELEASES, files: [{ name: 'video.mkv', size: VIDEO }] });
    const client = await KernelClient.start({ memoryMib: 768 });
    const node = new PlayedNode(client, fuse);
    execFileSync('ip', ['-n', client.netns, 'address', 'add', `${OTHER_ADDRESS}/24`, 'dev', 'uml0']);
    makeContainerRoot(join(client.folder, 'root'));
    await client.output(`mount --make-rshared /; mkdir -p ${volume}/dfs /host/root/mnt/decypharr`);
    return node;
  }

  async dispose(): Promise<void> {
    await this.client.dispose();
    await this.#gateway?.kill();
    await this.#fuse.dispose();
  }

  /** Starts a gateway in the place of the one that served, which is killed, and has the cluster's DNS name it. */
  async serve(address: string = HOST_ADDRESS, identity = 'test'): Promise<void> {
    await this.kill();
    const [nfs, smb, admin] = [`${address}:${PORTS.nfs}`, `${address}:${PORTS.smb}`, '127.0.0.1:0'];
    const args = [
      'serve',
      this.#fuse.mountpoint,
      '--name',
      'dfs',
      '--nfs',
      nfs,
      '--smb',
      smb,
      '--admin',
      admin,
    ];
    const hosts = `127.0.0.1 localhost\n${address} gateway.media.svc\n`;
    writeFileSync(join(this.client.folder, 'root/etc/hosts'), hosts);
    const env = { HOLDFAST_IDENTITY: identity };
    this.#gateway = await Gateway.start({ args, netns: this.client.netns, env });
  }

  async kill(): Promise<void> {
    await this.#gateway?.kill();
  }

  /** Starts a mounter; resolves when the mount answers. */
  async mounter(protocol: MountedBy, ...more: string[]): Promise<Pod> {
    const options = ['--protocol', protocol, '--interval', '0.2', '--probe-timeout', '3', ...more];
    const charset = protocol === 'smb' ? ['--options', 'iocharset=utf8'] : [];
    const command = [
      ...['/usr/bin/node', '/app/dist/main.js', 'mount', '--server', 'gateway.media.svc'],
      ...['--at', '/mnt/decypharr/dfs', ...options, ...charset],
    ];
    const log = `/tmp/mounter-${++this.#pods}.log`;
    const one = new Pod(this.client, this.client.spawn(`${pod(command.join(' '))} >${log} 2>&1`), log);
    await one.logged('the mount answers');
    return one;
  }

  /** What process 1 has mounted where consumers look, from the bottom to the top. */
  async mounted(): Promise<string[]> {
    return (await this.client.output('cat /proc/mounts'))
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, mountpoint]) => mountpoint === `${volume}/dfs`)
      .map(([origin]) => origin!);
  }
}

/** Lists the tree, again and again, until the flag; prints how often it was whole, an error, and something else. */
const watcher = (flag: string) =>
  consumer(`
    whole=0 errors=0 wrong=0
    until [ -e /tmp/flags/${flag} ]; do
      if list=$(ls /mnt/dfs && ls /mnt/dfs/__all__); then
        set -- $list
        if [ $# -gt ${RELEASES} ]; then whole=$((whole+1)); else wrong=$((wrong+1)); fi
      else
        errors=$((errors+1))
      fi 2>/tmp/ls-errors
      sleep 0.1
    done
    echo $whole $errors $wrong`);

/** Opens the file, reads a part, waits, reads the rest and prints the sum of it all. */
const reader = (flag: string) =>
  consumer(`
    exec 3</mnt/dfs${path}
    dd bs=1M count=2 <&3 2>/dev/null >/tmp/part
    mark open
    await_flag ${flag}
    cat <&3 >>/tmp/part
    sha256sum </tmp/part`);

const readAheadOf = (path: string) =>
  `cat /sys/class/bdi/$(awk '$5 == "${path}" { device = $3 } END { print device }' /proc/self/mountinfo)/read_ahead_kb`;

/** The server restarts, the mounter restarts, the address moves: a consumer goes on. */
export async function playChanges(node: PlayedNode, protocol: MountedBy): Promise<void> {
  const { client } = node;
  const digest = contentDigest(contentSeed(path), VIDEO);
  await node.serve();
  let mounter = await node.mounter(protocol, '--leave', '--read-ahead', '1024');
  expect(await node.mounted()).toEqual([GUARD, originOf(protocol, HOST_ADDRESS)]);
  if (protocol === 'nfs') expect(await client.output(readAheadOf(`${volume}/dfs`))).toBe('1024\n');

  const watching = client.spawn(watcher(`stop-${protocol}`));
  const reading = client.spawn(reader(`go-${protocol}`));
  await reading.marked('open');
  // The server restarts: the mount waits. The mounter restarts: its successor takes the mount as it is.
  await node.serve();
  await mounter.stop();
  mounter = await node.mounter(protocol, '--leave');
  expect(await mounter.text()).not.toContain('"mounted"');
  client.flag(`go-${protocol}`);
  expect((await reading.result).stdout.split(' ')[0]).toBe(digest);
  expect(await node.mounted()).toEqual([GUARD, originOf(protocol, HOST_ADDRESS)]);

  // The name leads to another address, and nobody answers at the old one.
  await node.serve(OTHER_ADDRESS);
  await mounter.logged('"reason":"moved".*"mounted"');
  expect(await node.mounted()).toEqual([GUARD, originOf(protocol, OTHER_ADDRESS)]);
  const sum = await client.output(consumer(`sha256sum </mnt/dfs${path}`));
  expect(sum.split(' ')[0]).toBe(digest);

  client.flag(`stop-${protocol}`);
  const [whole, errors, wrong] = (await watching.result).stdout.split(' ').map(Number);
  expect(wrong, 'a part or nothing of the tree').toBe(0);
  expect(whole).toBeGreaterThan(5);
  // One call waits for the old address, and a few may fall between two mounts.
  expect(errors).toBeLessThan(20);
  await mounter.stop();
}

/** A mounter that is not to leave its mount takes it away, and no empty folder is seen. */
export async function playEnd(node: PlayedNode, protocol: MountedBy): Promise<void> {
  const mounter = await node.mounter(protocol);
  await mounter.stop();
  expect(await node.mounted()).toEqual([GUARD]);
  const { code, stderr } = await node.client.run(consumer('ls /mnt/dfs'));
  expect(code).not.toBe(0);
  expect(stderr).toContain('not connected');
}

/** Only a mount that fails while a fresh one answers is replaced. */
export async function playDeath(node: PlayedNode): Promise<void> {
  await node.serve();
  const mounter = await node.mounter('nfs');
  await node.kill();
  await mounter.logged('the mount is slow');
  // Another identity makes other handles: to the client the old ones are stale for ever.
  await node.serve(HOST_ADDRESS, 'another');
  await mounter.logged('"reason":"dead".*"mounted"');
  expect(await node.client.output(consumer('ls /mnt/dfs/__all__ | wc -l'))).toBe(`${RELEASES}\n`);
  await mounter.stop();
}

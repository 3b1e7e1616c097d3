/** A lab: one gateway, one FUSE daemon and one kernel client in separate processes, and the reports of the consumers. */
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { contentSeed, FuseTree, MIB, releasePath, type FuseTreeOptions } from '../kit/fuse.ts';
import { Gateway } from '../kit/gateway.ts';
import type { Kernel } from '../kit/kernels.ts';
import { GUEST_ADDRESS, KernelClient } from '../kit/uml.ts';
import {
  Consumer,
  consumerProgram,
  type ListOptions,
  type LoopOptions,
  type ReadOptions,
  type Seen,
} from './consumer.ts';
import type { Place, Protocol, Server, ServerKind } from './server.ts';
import { within } from './time.ts';

export const ports = { nfs: 12_049, smb: 14_450, admin: 19_445 } as const;
/** The files of each release in this suite. */
export const video = { name: 'video.mkv', size: 32 * MIB } as const;
export const subtitles = { name: 'video.en.srt', size: 48_321 } as const;
/** Bytes per second: several times the bit rate of a film. */
export const rate = 8 * MIB;

/** The options that `holdfast mount-options` recommends. */
const recommended: Readonly<Record<Protocol, string>> = {
  nfs: 'hard,acdirmin=1,acdirmax=5,nconnect=4',
  smb: 'guest,username=guest,hard,vers=3.1.1,echo_interval=10,actimeo=5,closetimeo=30,rsize=1048576,iocharset=utf8',
};

export interface LabOptions {
  /** Further protocols to mount with. */
  readonly also?: readonly Protocol[];
  readonly tree?: FuseTreeOptions;
  /** Who serves it, unless a peer does. Default: Holdfast, with the tree as its export. */
  readonly server?: ServerKind;
  /** Mount options instead of the recommended ones, by protocol. */
  readonly mountOptions?: Partial<Record<Protocol, string>>;
}

/** The server and the client's kernel. */
export interface Cast {
  /** Default: Holdfast. */
  readonly server?: ServerKind | undefined;
  /** The client's kernel. Default: the kit's default. */
  readonly kernel?: Kernel | undefined;
}

const holdfast: ServerKind = {
  name: 'Holdfast',
  prepare: () => ({
    start: ({ mountpoint, protocols, netns }) => {
      const listen = Object.entries(ports).flatMap(([what, port]) => [`--${what}`, `0.0.0.0:${port}`]);
      return Gateway.start({
        args: ['serve', mountpoint, '--name', 'dfs', ...listen],
        protocols,
        netns,
      });
    },
    dispose: () => undefined,
  }),
};

/** The parts of a lab. */
interface Parts {
  readonly protocols: readonly Protocol[];
  readonly place: Place;
  readonly fuse: FuseTree;
  readonly client: KernelClient;
}

const mountpointOf = (protocol: Protocol) => `/mnt/${protocol}`;

/** The mount that a consumer uses, if there are several. */
export interface Through {
  readonly through?: Protocol;
}

export class Lab {
  /** The default protocol of consumers. */
  readonly protocol: Protocol;
  readonly #protocols: readonly Protocol[];
  readonly #place: Place;
  readonly fuse: FuseTree;
  readonly client: KernelClient;
  /** Reports of the consumers, in the order in which they ended. */
  readonly seen: Seen[] = [];
  /** Flags that consumers wait for before they continue or end. */
  readonly #flags = new Set<string>();
  readonly #running = new Set<Consumer>();
  #gateway: Server | undefined;

  private constructor(parts: Parts) {
    this.#protocols = parts.protocols;
    this.protocol = parts.protocols[0]!;
    this.#place = parts.place;
    this.fuse = parts.fuse;
    this.client = parts.client;
  }

  /** Starts everything and mounts the tree in the guest at {@link mountpoint}. */
  static async start(protocol: Protocol, options: LabOptions = {}, cast: Cast = {}): Promise<Lab> {
    const { server = options.server ?? holdfast, kernel } = cast;
    const place = server.prepare();
    const tree = { releases: 40, files: [video, subtitles], latency: { read: 2 }, ...options.tree };
    const [fuse, client] = await Promise.all([
      FuseTree.start({ ...tree, ...place.tree }),
      KernelClient.start(kernel === undefined ? {} : { kernel }),
    ]);
    const lab = new Lab({ protocols: [protocol, ...(options.also ?? [])], place, fuse, client });
    try {
      copyFileSync(consumerProgram(), join(client.folder, 'consumer'));
      await lab.serve();
      for (const one of lab.#protocols)
        await lab.#mount(one, options.mountOptions?.[one] ?? recommended[one]);
    } catch (error) {
      await lab.dispose();
      throw error;
    }
    return lab;
  }

  get mountpoint(): string {
    return mountpointOf(this.protocol);
  }

  get gateway(): Server {
    if (!this.#gateway) throw new Error('no gateway runs');
    return this.#gateway;
  }

  /** The server, if it is Holdfast. */
  get holdfast(): Gateway | undefined {
    const { gateway } = this;
    return gateway instanceof Gateway ? gateway : undefined;
  }

  /** Starts the server, or starts it again with the same configuration. */
  async serve(): Promise<void> {
    this.#gateway = await this.#place.start({
      mountpoint: this.fuse.mountpoint,
      protocols: this.#protocols,
      netns: this.client.netns,
    });
  }

  /** Makes the gateway start a successor and pass it the sockets. Resolves when the old process has ended. */
  async takeOver(): Promise<void> {
    if (!this.holdfast) throw new Error('only Holdfast knows successors');
    await this.holdfast.takeOver();
  }

  /**
   * Calls `end`, which ends the client's connections, and waits until cifs is connected again: before that, Linux 6.1 answers
   * requests for the rest of a listing itself, with ENOENT. NFS needs no wait.
   */
  async untilReconnected(end: () => Promise<void>): Promise<void> {
    await end();
    if (this.protocol === 'nfs') return;
    await this.client.output(`until stat -f ${this.mountpoint} > /tmp/statfs 2>&1; do sleep 0.1; done`);
  }

  async #mount(protocol: Protocol, options: string): Promise<void> {
    const { client } = this;
    const mountpoint = mountpointOf(protocol);
    const { nfs = { export: '/dfs' } } = this.#place;
    if (protocol === 'nfs') await client.mountNfs({ port: ports.nfs, ...nfs, mountpoint, options });
    else await client.mountCifs({ port: ports.smb, share: 'dfs', mountpoint, options });
  }

  /** Unmounts as Decypharr does: `umount`, or a lazy detach if a file is open. Then the daemon ends. */
  async unmountFuse(): Promise<void> {
    const daemon = this.fuse.pid!;
    await this.fuse.unmount().catch(async () => {
      await this.fuse.unmount({ lazy: true });
      process.kill(daemon, 'SIGKILL');
    });
  }

  /** Reads a file of the tree and checks it. */
  read(path: string, options: ReadOptions & LoopOptions & Through = {}): Consumer {
    return this.#consume('read', path, { seed: contentSeed(path), ...options });
  }

  /** Reads the video of a release at several times a player's rate. */
  play(release: number, options: ReadOptions & LoopOptions & Through = {}): Consumer {
    return this.read(releasePath(release, video.name), { size: video.size, rate, ...options });
  }

  /** Lists a folder of the tree and stats two of its entries. */
  list(path: string, options: ListOptions & LoopOptions & Through = {}): Consumer {
    return this.#consume('list', path, options);
  }

  /** Lists a folder of the tree once and reports the names. */
  names(path: string, options: ListOptions & LoopOptions & Through = {}): Consumer {
    return this.#consume('names', path, options);
  }

  #consume(
    what: string,
    path: string,
    { through = this.protocol, ...options }: LoopOptions & Through,
  ): Consumer {
    const words = Object.entries(options).map(([key, value]) => ` ${key}='${String(value)}'`);
    for (const flag of [options.loop, options.wait]) if (flag !== undefined) this.#flags.add(flag);
    const whole = `${mountpointOf(through)}${path}`;
    const job = this.client.spawn(`/host/consumer ${what} '${whole}'${words.join('')}`);
    const consumer = new Consumer(`${what} ${whole}`, job, (seen) => {
      this.#running.delete(consumer);
      this.seen.push(seen);
    });
    this.#running.add(consumer);
    return consumer;
  }

  /** The number of consumers that still run. */
  get running(): number {
    return this.#running.size;
  }

  /** After a failure: heals all faults and waits up to `ms` for the consumers' reports, which explain it. */
  async wrapUp(ms: number): Promise<void> {
    await this.fuse.heal().catch(() => undefined);
    for (const flag of this.#flags) this.client.flag(flag);
    const ends = Promise.allSettled([...this.#running].map(({ seen }) => seen));
    await within(ends, ms, 'every end').catch(() => undefined);
  }

  /** The number of READs that the client has sent on this mount. */
  async readsSent(): Promise<number> {
    const script =
      this.protocol === 'nfs'
        ? `awk '$1 == "READ:" { print $2 }' /proc/self/mountstats`
        : `awk '$1 == "Reads:" { sum += $2 } END { print sum }' /proc/fs/cifs/Stats`;
    return Number(await this.client.output(script));
  }

  async metrics(): Promise<string> {
    return await this.client.output(`wget -q -O - http://10.99.0.1:${ports.admin}/metrics`);
  }

  /** Resets every connection between the gateway and the client, as an impatient firewall does. */
  resetConnections(): Promise<void> {
    const [command, ...enter] = this.client.enter;
    // `ss -K` prints the connections that it has ended. A kernel without support for it ends and prints none.
    const ended = execFileSync(command, [...enter, 'ss', '-HtnK', 'dst', GUEST_ADDRESS], {
      encoding: 'utf8',
    });
    if (ended.trim() === '') throw new Error('no connection could be reset (CONFIG_INET_DIAG_DESTROY)');
    return Promise.resolve();
  }

  /** Drops packets from the gateway to the client: all, only TCP resets, or none (ends the loss). */
  lose(packets: 'all' | 'resets' | 'none'): void {
    const rules = {
      all: ['add rule inet faults out oifname uml0 drop'],
      resets: ['add rule inet faults out oifname uml0 tcp flags & rst == rst drop'],
      none: [],
    };
    const base = [
      'add table inet faults',
      'delete table inet faults',
      'add table inet faults',
      'add chain inet faults out { type filter hook output priority 0; }',
    ];
    const [command, ...enter] = this.client.enter;
    execFileSync(command, [...enter, 'nft', '-f', '-'], {
      input: [...base, ...rules[packets], ''].join('\n'),
    });
  }

  /** The logs of gateway and guest, for a failure's message. */
  async logs(): Promise<string> {
    return [this.#gateway?.dump() ?? '', await this.client.whyLate()].join('\n');
  }

  async dispose(): Promise<void> {
    // A process that is stuck in a FUSE request ends only when the daemon ends.
    try {
      await Promise.all([this.#gateway?.kill(), this.fuse.dispose()]);
    } finally {
      await this.client.dispose();
      this.#place.dispose();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

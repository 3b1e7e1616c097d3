/** The setup of one scenario: the provider, Decypharr in a sandbox, and the gateway or mount of its tree. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { Gateway } from '../kit/gateway.ts';
import { KernelClient } from '../kit/uml.ts';
import { makeCertificates } from './certificates.ts';
import { Daemon } from './daemon.ts';
import type { Release } from './library.ts';
import { DOWNLOAD_PORT, Provider } from './provider.ts';
import { API_HOST, Sandbox } from './sandbox.ts';
import type { Backend } from './settings.ts';

export const ports = { nfs: 2049, smb: 445, admin: 9445 } as const;
/** Ms. The gateway drains for up to 20 s and then gives Decypharr 8 s to stop. */
const STOP_MS = 40_000;
const KEPT_LINES = 4000;

export interface PlaceOptions {
  readonly releases: readonly Release[];
  readonly backend?: Backend;
  /** Start a Linux kernel client. */
  readonly kernel?: boolean;
  /** Bytes per second of each connection to the provider. */
  readonly rate?: number;
  readonly firstByteMs?: number;
}

/** A program in the sandbox, beside the gateway or instead of it. */
class Program {
  readonly output: string[] = [];
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;

  constructor(command: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        this.output.push(line);
        if (this.output.length > KEPT_LINES) this.output.shift();
      });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit', { signal: AbortSignal.timeout(STOP_MS) });
    this.#child.kill('SIGTERM');
    await gone.catch(() => this.#child.kill('SIGKILL'));
  }
}

export class Place {
  readonly sandbox: Sandbox;
  readonly provider: Provider;
  readonly daemon: Daemon;
  readonly client: KernelClient | undefined;
  /** Decypharr, if rclone mounts the tree. */
  #beside: Program | undefined;
  #alone: Program | undefined;
  #gateway: Gateway | undefined;

  private constructor(parts: Pick<Place, 'sandbox' | 'provider' | 'daemon' | 'client'>) {
    this.sandbox = parts.sandbox;
    this.provider = parts.provider;
    this.daemon = parts.daemon;
    this.client = parts.client;
  }

  /** Starts the provider, but not Decypharr. */
  static async start(options: PlaceOptions): Promise<Place> {
    const client = options.kernel === true ? await KernelClient.start({ memoryMib: 768 }) : undefined;
    let sandbox: Sandbox | undefined;
    try {
      sandbox = await Sandbox.start(client && { netns: client.netns });
      const certificates = makeCertificates(sandbox.folder, API_HOST);
      const provider = new Provider(certificates);
      provider.releases = options.releases;
      provider.rate = options.rate ?? provider.rate;
      provider.firstByteMs = options.firstByteMs ?? provider.firstByteMs;
      provider.serve(await sandbox.listen(443), await sandbox.listen(DOWNLOAD_PORT));
      const daemon = new Daemon(sandbox, options.backend ?? 'hanwen', certificates);
      const place = new Place({ sandbox, provider, daemon, client });
      if (daemon.backend === 'rclone') place.#beside = place.#program(daemon.decypharr);
      return place;
    } catch (error) {
      await sandbox?.dispose();
      await client?.dispose();
      throw error;
    }
  }

  #program(command: readonly string[]): Program {
    return new Program([...this.sandbox.enter, ...command], this.daemon.environment);
  }

  get gateway(): Gateway {
    if (!this.#gateway) throw new Error('no gateway runs');
    return this.#gateway;
  }

  /** `holdfast run MOUNTPOINT -- …`; resolves when the tree lists all releases. */
  async serve(): Promise<void> {
    await this.restartServing();
    await this.whenListed();
  }

  /** As {@link serve}, but resolves as soon as the gateway listens. */
  async restartServing(): Promise<void> {
    const { mountpoint, command, environment } = this.daemon;
    const listen = Object.entries(ports).flatMap(([what, port]) => [`--${what}`, `0.0.0.0:${String(port)}`]);
    this.#gateway = await Gateway.start({
      args: ['run', mountpoint, '--name', 'dfs', '--child-output', 'log', ...listen, '--', ...command],
      env: environment,
      enter: this.sandbox.enter,
    });
  }

  /** Starts Decypharr without a gateway, for readers of its mount. */
  async mountOnly(): Promise<void> {
    this.#alone = this.#program(this.daemon.command);
    await this.whenListed();
  }

  /** Resolves when the daemon's tree has all releases. */
  async whenListed(timeoutMs?: number): Promise<void> {
    try {
      await this.daemon.whenListing(this.provider.releases.length, timeoutMs);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.logs()}`, { cause: error });
    }
  }

  /** Stops the gateway and the daemon cleanly. Decypharr's database stays. */
  async stop(): Promise<void> {
    await this.#gateway?.stop(STOP_MS);
    this.#gateway = undefined;
    await this.#alone?.stop();
    this.#alone = undefined;
  }

  /** For a failure's message. */
  logs(): string {
    const lines = [this.#gateway?.dump(), this.#alone?.output.join('\n'), this.#beside?.output.join('\n')];
    return lines
      .flatMap((one) => (one === undefined ? [] : [one.split('\n').slice(-200).join('\n')]))
      .join('\n');
  }

  async dispose(): Promise<void> {
    await this.#gateway?.kill();
    this.provider.close();
    await this.sandbox.dispose();
    await this.client?.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

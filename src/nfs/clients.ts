/** The NFS clients: their connections and the mounts they reported. By address, since NFSv3 has no sessions. */
import type { CallFinished, Peer } from '@holdfast/nfs-rpc';
import type { NfsClientStatus } from '../admin/index.ts';
import { renderName } from '../log/index.ts';

/** Most clients to remember, and most mounts of each. The oldest are dropped. */
const mostClients = 1024;
const mostMounts = 16;

interface Client {
  readonly since: number;
  readonly mounts: Set<string>;
  connections: number;
  calls: number;
  bytesOut: number;
}

export class NfsClients {
  /** The client that was added last is last. */
  readonly #clients = new Map<string, Client>();

  connected({ address }: Peer): void {
    this.#of(address).connections += 1;
  }

  disconnected({ address }: Peer): void {
    const client = this.#clients.get(address);
    if (client && client.connections > 0) client.connections -= 1;
  }

  finished({ peer, bytesOut }: CallFinished): void {
    const client = this.#clients.get(peer.address);
    if (!client) return;
    client.calls += 1;
    client.bytesOut += bytesOut;
  }

  mounted({ address }: Peer, path: string): void {
    const { mounts } = this.#of(address);
    mounts.add(path);
    for (const oldest of mounts) {
      if (mounts.size <= mostMounts) break;
      mounts.delete(oldest);
    }
  }

  /** @param path `*` for all mounts. */
  unmounted({ address }: Peer, path: string): void {
    const mounts = this.#clients.get(address)?.mounts;
    if (path === '*') mounts?.clear();
    else mounts?.delete(path);
  }

  forget(address: string): boolean {
    return this.#clients.delete(address);
  }

  /** Clients with connections or mounts, latest first, at most `most`. */
  status(most: number): NfsClientStatus[] {
    const now = performance.now();
    return [...this.#clients]
      .filter(([, { connections, mounts }]) => connections > 0 || mounts.size > 0)
      .slice(-most)
      .reverse()
      .map(([client, { since, mounts, connections, calls, bytesOut }]) => ({
        client,
        mounts: [...mounts].map(renderName),
        connections,
        calls,
        bytesOut,
        seconds: Math.round((now - since) / 1000),
      }));
  }

  #of(address: string): Client {
    let client = this.#clients.get(address);
    if (client) return client;
    client = { since: performance.now(), mounts: new Set(), connections: 0, calls: 0, bytesOut: 0 };
    if (this.#clients.size >= mostClients) this.#makeRoom();
    this.#clients.set(address, client);
    return client;
  }

  /** Drops the oldest client without a connection; if all are connected, the oldest one. */
  #makeRoom(): void {
    for (const [address, { connections }] of this.#clients) {
      if (connections > 0) continue;
      this.#clients.delete(address);
      return;
    }
    for (const address of this.#clients.keys()) {
      this.#clients.delete(address);
      return;
    }
  }
}

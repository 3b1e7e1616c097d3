/** Listening sockets by name, so that a successor of this process can keep using them. */
import type { AddressInfo, ListenOptions, Server } from 'node:net';
import { formatEndpoint, type Endpoint } from '../config/index.ts';

/** Descriptors of listening sockets, by name and address. */
export type InheritedSockets = ReadonlyMap<string, number>;

export class Listeners {
  readonly #inherited: InheritedSockets;
  readonly #open = new Map<string, Server>();

  constructor(inherited: InheritedSockets = new Map()) {
    this.#inherited = inherited;
  }

  /**
   * Makes the server listen on the inherited socket with this name and configured address; without one, on a new
   * socket. Rejects with the error of listen(2). The first connection may arrive in the next turn of the event loop.
   */
  async listen(server: Server, name: string, at: Endpoint): Promise<AddressInfo> {
    const key = `${name} ${formatEndpoint(at)}`;
    const fd = this.#inherited.get(key);
    const options: ListenOptions & { fd?: number } = fd === undefined ? { ...at } : { fd };
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#open.set(key, server);
    server.once('close', () => this.#open.delete(key));
    return server.address() as AddressInfo;
  }

  /** Stops accepting. Accepted connections continue; those still in the backlog are left to a successor. */
  close(): void {
    for (const server of this.#open.values()) server.close();
    this.#open.clear();
  }

  /** The descriptors to hand over. This process keeps its own copies. */
  get sockets(): InheritedSockets {
    return new Map([...this.#open].map(([key, server]) => [key, descriptorOf(server)]));
  }
}

/**
 * Node.js documents how to listen on a descriptor, but not how to get the descriptor of a server. Its own tests of
 * `listen({ fd })` read `_handle.fd` as well.
 */
function descriptorOf(server: Server): number {
  const { _handle: handle } = server as unknown as { _handle?: { fd?: unknown } | null };
  if (typeof handle?.fd !== 'number' || handle.fd < 0)
    throw new Error('this Node.js does not expose the descriptor of a listening socket');
  return handle.fd;
}

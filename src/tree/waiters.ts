/** Requests that the tree has not answered yet: their client, object and start. */
import type { ByteString } from './names.ts';
import type { TreeNode } from './node.ts';

export interface Waiter {
  /** performance.now(). */
  readonly since: number;
  /** Undefined while the object of a handle is not known. */
  readonly node: Pick<TreeNode, 'path'> | undefined;
  /** Name of the entry that is looked up in `node`; undefined if the request is for `node` itself. */
  readonly name: ByteString | undefined;
  /** Address of the client. */
  readonly client: string;
}

/** The waiting requests for one path. */
export interface Wait {
  readonly path: ByteString;
  readonly requests: number;
  /** Client addresses, each once; at most `mostClients`. */
  readonly clients: readonly string[];
  /** How long the oldest request has waited, in ms. */
  readonly ms: number;
}

/** The most client addresses in a summary. */
const mostClients = 16;

export class Waiters {
  /** In order of arrival. */
  readonly #all = new Set<Waiter>();

  add(waiter: Waiter): void {
    this.#all.add(waiter);
  }

  delete(waiter: Waiter): void {
    this.#all.delete(waiter);
  }

  get size(): number {
    return this.#all.size;
  }

  /** How long the oldest request has waited, in ms; 0 if none waits. */
  get longestMs(): number {
    for (const { since } of this.#all) return performance.now() - since;
    return 0;
  }

  /** Every request with its path; the root's if its object is not known. */
  *all(): Generator<readonly [Waiter, ByteString]> {
    for (const waiter of this.#all) yield [waiter, pathOf(waiter) ?? ''];
  }

  /** The requests that wait for the object at this path. */
  for(path: ByteString): Wait | undefined {
    return this.#summed((at) => at === path).get(path);
  }

  /** The paths with requests that have waited for at least `ms`; longest waits first, at most `most`. */
  longest(ms: number, most: number): Wait[] {
    const before = performance.now() - ms;
    return [...this.#summed((_, { since }) => since <= before).values()].slice(0, most);
  }

  #summed(wanted: (path: ByteString, waiter: Waiter) => boolean): Map<ByteString, Wait> {
    const now = performance.now();
    const waits = new Map<
      ByteString,
      { path: ByteString; requests: number; clients: string[]; ms: number }
    >();
    for (const waiter of this.#all) {
      const path = pathOf(waiter);
      if (path === undefined || !wanted(path, waiter)) continue;
      const wait = waits.get(path) ?? { path, requests: 0, clients: [], ms: now - waiter.since };
      waits.set(path, wait);
      wait.requests += 1;
      const { client } = waiter;
      if (wait.clients.length < mostClients && !wait.clients.includes(client)) wait.clients.push(client);
    }
    return waits;
  }
}

const pathOf = ({ node, name }: Waiter): ByteString | undefined =>
  node && (name === undefined ? node.path : `${node.path}/${name}`);

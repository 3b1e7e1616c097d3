/** What a successor gets from its predecessor: the listening sockets, and a channel to report that it serves them. */
import { closeSync } from 'node:fs';
import type { InheritedSockets } from './listeners.ts';

/** Holds JSON: the descriptor of each listening socket, by name and address. */
const variable = 'HOLDFAST_INHERITED_SOCKETS';
/** Descriptors 0 to 2 are the standard streams, 3 is the channel. */
const firstSocket = 4;

/** The only message on the channel, from the successor to its predecessor. */
const ready = 'holdfast: ready';
export const isReady = (message: unknown) => message === ready;

export interface Handover {
  readonly env: Readonly<Record<string, string>>;
  /** For the `stdio` of the successor. */
  readonly stdio: readonly ('inherit' | 'ipc' | number)[];
}

/** Environment and `stdio` for a process that is to inherit these sockets. */
export function handOver(sockets: InheritedSockets): Handover {
  const places = [...sockets.keys()].map((key, index) => [key, firstSocket + index]);
  return {
    env: { [variable]: JSON.stringify(Object.fromEntries(places)) },
    stdio: ['inherit', 'inherit', 'inherit', 'ipc', ...sockets.values()],
  };
}

export interface Inheritance {
  readonly sockets: InheritedSockets;
  /** Tells the predecessor that it may end. Closes the inherited sockets that are not in `used`. */
  accept(used: InheritedSockets): void;
}

/**
 * Returns what a predecessor handed over; undefined when there is none. Removes it from the environment, so that no
 * child process sees it.
 */
export function takeInheritance(env: NodeJS.ProcessEnv): Inheritance | undefined {
  const text = env[variable];
  if (text === undefined) return undefined;
  Reflect.deleteProperty(env, variable);
  const sockets = new Map(Object.entries(JSON.parse(text) as Record<string, number>));
  return {
    sockets,
    accept: (used) => {
      for (const [key, fd] of sockets) if (!used.has(key)) closeSync(fd);
      // The send fails when the predecessor has already ended. That is no reason to end this process.
      process.send?.(ready, undefined, undefined, () => {
        if (process.connected) process.disconnect();
      });
    },
  };
}

/** What a process gets from the one whose place it takes: listening sockets, and a channel to say that they are served. */
import { closeSync } from 'node:fs';
import type { InheritedSockets } from './listeners.ts';

/** JSON: descriptor by name and address of a listening socket. */
const variable = 'HOLDFAST_INHERITED_SOCKETS';
/** 0 to 2 are standard streams, 3 is the channel. */
const firstSocket = 4;

/** The one message there is, from the successor to its predecessor. */
const ready = 'holdfast: ready';
export const isReady = (message: unknown) => message === ready;

export interface Handover {
  readonly env: Readonly<Record<string, string>>;
  /** For the `stdio` of the successor. */
  readonly stdio: readonly ('inherit' | 'ipc' | number)[];
}

/** How to start a process so that it finds these sockets. */
export function handOver(sockets: InheritedSockets): Handover {
  const places = [...sockets.keys()].map((key, index) => [key, firstSocket + index]);
  return {
    env: { [variable]: JSON.stringify(Object.fromEntries(places)) },
    stdio: ['inherit', 'inherit', 'inherit', 'ipc', ...sockets.values()],
  };
}

export interface Inheritance {
  readonly sockets: InheritedSockets;
  /** Tells the predecessor that it may go, and lets go of the sockets among those given that `used` does not hold. */
  accept(used: InheritedSockets): void;
}

/**
 * What this process was given, undefined when it takes nobody's place. Takes it out of the environment: it is meant for
 * no other process.
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
      // A predecessor that is gone already is no reason to go as well.
      process.send?.(ready, undefined, undefined, () => {
        if (process.connected) process.disconnect();
      });
    },
  };
}

/** Opens of the in-memory share, and artificial delays for its operations. */
import {
  type Awaitable,
  type CallContext,
  type OpenNode,
  type ShareBackend,
  type ShareChanges,
  StatusError,
} from '../backend.ts';
import { fail } from '../errors.ts';
import { Status } from '../wire/status.ts';
import type { MemoryNode } from './node.ts';

/** The backend method that runs, for the artificial delay. */
export type MemoryOperation =
  | Exclude<
      keyof ShareBackend<MemoryNode>,
      'volume' | 'root' | 'nodeById' | 'parent' | 'cachedAttributes' | 'watch' | 'changes'
    >
  | Exclude<keyof ShareChanges<MemoryNode>, 'securityDescriptors' | 'extendedAttributes' | 'streams'>
  | 'read';

export type Delay = (operation: MemoryOperation, node: MemoryNode) => Promise<void> | undefined;

/** Runs an operation, after its artificial delay if there is one. */
export type Gate = <T>(
  operation: MemoryOperation,
  node: MemoryNode,
  call: CallContext,
  run: () => T,
) => Awaitable<T>;

export function gate(delay: Delay | undefined): Gate {
  return (operation, node, call, run) => {
    const wait = delay?.(operation, node);
    return wait === undefined ? run() : unlessAborted(wait, call.signal).then(run);
  };
}

function unlessAborted(wait: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new StatusError(Status.CANCELLED));
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener('abort', abort, { once: true });
    wait.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

export class MemoryOpen implements OpenNode<MemoryNode> {
  readonly node: MemoryNode;
  readonly write: boolean;
  private readonly gate: Gate;
  private closed = false;

  constructor(node: MemoryNode, write: boolean, gate: Gate) {
    this.node = node;
    this.write = write;
    this.gate = gate;
    node.opens++;
  }

  read(offset: number, target: Buffer, call: CallContext): Awaitable<number> {
    return this.gate('read', this.node, call, () => {
      if (this.node.kind !== 'file') fail(Status.INVALID_DEVICE_REQUEST);
      return this.node.content.read(offset, target);
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.node.opens--;
    this.node.releaseIfUnused();
  }
}

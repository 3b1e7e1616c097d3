import { randomId } from '../context/random-id.ts';
import type { PipeEndpoint } from '../dcerpc/pipe.ts';
import type { FileId } from '../wire/file-id.ts';
import type { OpenTree } from './owner.ts';

/** An open of a named pipe of IPC$. */
export class PipeOpen {
  readonly kind = 'pipe';
  /** A pipe has no directory scan. */
  readonly enumeration = undefined;
  readonly name: string;
  readonly pipe: PipeEndpoint;
  readonly tree: OpenTree;
  readonly volatileId = randomId();
  readonly fileId: FileId = { persistent: BigInt(randomId()), volatile: BigInt(this.volatileId) };
  readonly persistentLow = Number(this.fileId.persistent & 0xffffffffn);
  readonly persistentHigh = Number(this.fileId.persistent >> 32n);
  readonly grantedAccess: number;
  readonly #closed: (open: PipeOpen) => void;

  /** @param closed called once, when the pipe is closed. */
  constructor(
    tree: OpenTree,
    init: { readonly name: string; readonly pipe: PipeEndpoint; readonly grantedAccess: number },
    closed: (open: PipeOpen) => void,
  ) {
    this.tree = tree;
    this.name = init.name;
    this.pipe = init.pipe;
    this.grantedAccess = init.grantedAccess;
    this.#closed = closed;
  }

  begin(): void {
    // Pipe requests finish at once, so none can be running.
  }

  end(): void {
    // See begin.
  }

  dispose(): void {
    if (this.tree.session.opens.delete(this.volatileId)) this.#closed(this);
  }
}

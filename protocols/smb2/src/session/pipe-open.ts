import type { PipeEndpoint } from '../dcerpc/pipe.ts';
import type { FileId } from '../wire/file-id.ts';
import { randomId } from './random-id.ts';
import type { ServerState } from './server-state.ts';
import type { TreeConnect } from './tree.ts';

/** An open of a named pipe of IPC$. */
export class PipeOpen {
  readonly kind = 'pipe';
  /** A pipe is no directory to scan. */
  readonly enumeration = undefined;
  readonly name: string;
  readonly pipe: PipeEndpoint;
  readonly tree: TreeConnect;
  readonly volatileId = randomId();
  readonly fileId: FileId = { persistent: BigInt(randomId()), volatile: BigInt(this.volatileId) };
  readonly grantedAccess: number;
  readonly #server: ServerState;

  constructor(
    server: ServerState,
    tree: TreeConnect,
    name: string,
    pipe: PipeEndpoint,
    grantedAccess: number,
  ) {
    this.#server = server;
    this.tree = tree;
    this.name = name;
    this.pipe = pipe;
    this.grantedAccess = grantedAccess;
    server.opens++;
    tree.session.opens.set(this.volatileId, this);
  }

  begin(): void {
    // Pipes answer at once: nothing can be running.
  }

  end(): void {
    // See begin.
  }

  dispose(): void {
    if (this.tree.session.opens.delete(this.volatileId)) this.#server.opens--;
  }
}

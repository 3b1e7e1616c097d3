import type { Node } from '../share/volume.ts';
import { Volume } from '../share/volume.ts';
import { FileState } from './file-state.ts';

/** A share with the state of its open files. */
export class Share extends Volume {
  readonly files = new Map<Node, FileState>();

  fileOf(node: Node): FileState {
    const known = this.files.get(node);
    if (known) return known;
    const file = new FileState(this, node);
    this.files.set(node, file);
    return file;
  }

  release(file: FileState): void {
    if (file.opens.size > 0 || (file.deletePending && file.openStreams().length > 0)) return;
    file.unwatch?.();
    file.unwatch = undefined;
    if (this.files.get(file.node) === file) this.files.delete(file.node);
  }
}

/** Directories of which the source tells changes by itself, so that their listings are good until it does. */
import type { TreeSource } from '../source/source.ts';
import type { TreeNode } from './node.ts';

interface Observation {
  /** Something may have changed since the last reading began. */
  isDirty: boolean;
  /** Undefined as long as it is not known whether the source tells. */
  end: (() => void) | undefined;
}

export class Observations {
  readonly #source: Pick<TreeSource, 'observe'>;
  readonly #onChange: (directory: TreeNode) => void;
  readonly #all = new Map<TreeNode, Observation>();

  /** @param onChange called when entries of a directory may have come or gone. */
  constructor(source: Pick<TreeSource, 'observe'>, onChange: (directory: TreeNode) => void) {
    this.#source = source;
    this.#onChange = onChange;
  }

  /** Begins, if the source can tell. */
  begin(directory: TreeNode): void {
    if (this.#all.has(directory)) return;
    const observation: Observation = { isDirty: true, end: undefined };
    this.#all.set(directory, observation);
    const onChange = () => {
      observation.isDirty = true;
      this.#onChange(directory);
    };
    const onEnd = () => {
      if (this.#all.get(directory) === observation) this.#all.delete(directory);
    };
    this.#source.observe(directory.path, onChange, onEnd).then(
      (end) => {
        if (this.#all.get(directory) !== observation) end?.();
        else observation.end = end;
      },
      // Where the source was away it is asked when the directory is used next.
      onEnd,
    );
  }

  end(directory: TreeNode): void {
    this.#all.get(directory)?.end?.();
    this.#all.delete(directory);
  }

  close(): void {
    for (const directory of [...this.#all.keys()]) this.end(directory);
  }

  /** A reading of the directory begins: what changes from now on, it may miss. */
  reading(directory: TreeNode): void {
    const observation = this.#all.get(directory);
    if (observation?.end) observation.isDirty = false;
  }

  /** Whether the source tells changes, and has told none since the last reading began. */
  isQuiet(directory: TreeNode): boolean {
    return this.#all.get(directory)?.isDirty === false;
  }
}

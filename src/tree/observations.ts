/** Directories that the source watches by inotify: their listings stay fresh until it reports a change. */
import type { TreeSource } from '../source/source.ts';
import type { TreeNode } from './node.ts';

interface Observation {
  /** Whether something may have changed since the last reading began. */
  isDirty: boolean;
  /** Ends the watch; undefined until the source has begun it, or if the source cannot watch. */
  end: (() => void) | undefined;
}

export class Observations {
  readonly #source: Pick<TreeSource, 'observe'>;
  readonly #onChange: (directory: TreeNode) => void;
  readonly #all = new Map<TreeNode, Observation>();

  /** @param onChange called when entries of a directory may have been created, deleted or renamed. */
  constructor(source: Pick<TreeSource, 'observe'>, onChange: (directory: TreeNode) => void) {
    this.#source = source;
    this.#onChange = onChange;
  }

  /** Begins to watch a directory, if the source can. */
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
      // The source was absent: try again at the next use of the directory.
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

  /** Call when a reading of the directory begins: only later changes make its listing out of date. */
  reading(directory: TreeNode): void {
    const observation = this.#all.get(directory);
    if (observation?.end) observation.isDirty = false;
  }

  /** Whether the directory is watched and has not changed since the last reading began. */
  isQuiet(directory: TreeNode): boolean {
    return this.#all.get(directory)?.isDirty === false;
  }
}

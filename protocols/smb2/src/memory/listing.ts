import type { DirectoryListing, NodeAttributes } from '../backend.ts';
import { compareNames } from './name-table.ts';
import type { MemoryNode } from './node.ts';

/** Names as of the creation of the listing; nodes and attributes as of `load`. */
export class MemoryListing implements DirectoryListing<MemoryNode> {
  private readonly directory: MemoryNode;
  private readonly names: readonly string[];
  private readonly loaded = new Map<
    number,
    { readonly node: MemoryNode; readonly attributes: NodeAttributes }
  >();

  constructor(directory: MemoryNode) {
    this.directory = directory;
    this.names = directory.entries.names();
  }

  get length(): number {
    return this.names.length;
  }

  nameAt(index: number): string {
    const name = this.names[index];
    if (name === undefined) throw new RangeError(`no entry ${index} in a listing of ${this.names.length}`);
    return name;
  }

  placeAt(index: number): string {
    return this.nameAt(index);
  }

  indexAfter(place: string): number {
    let low = 0;
    let high = this.names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareNames(this.names[middle]!, place) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  load(from: number, to: number): void {
    for (let index = Math.max(0, from); index < Math.min(to, this.names.length); index++) {
      const node = this.directory.entries.get(this.names[index]!);
      if (node === undefined) this.loaded.delete(index);
      else this.loaded.set(index, { node, attributes: node.attributes() });
    }
  }

  nodeAt(index: number): MemoryNode | undefined {
    return this.loaded.get(index)?.node;
  }

  attributesAt(index: number): NodeAttributes | undefined {
    return this.loaded.get(index)?.attributes;
  }
}

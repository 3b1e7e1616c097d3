/** The tree of the in-memory share, with names, times and events as on NTFS. All methods are synchronous. */
import type { FileTime, NodeKind, SetAttributes } from '../backend.ts';
import { fail } from '../errors.ts';
import { FileAttribute, NotifyFilter } from '../wire/constants.ts';
import { fileTimeOf } from '../wire/file-time.ts';
import { Status } from '../wire/status.ts';
import { Budget } from './content.ts';
import { MemoryNode, type Place } from './node.ts';
import { Watchers } from './watchers.ts';

const MAX_NAME_UNITS = 255;

export const fileTimeNow = (): FileTime => fileTimeOf(Date.now());

export interface TreeOptions {
  readonly capacity: number;
  readonly caseSensitive: boolean;
  readonly clock: () => FileTime;
  readonly uid: number;
  readonly gid: number;
}

export interface NewNode {
  readonly kind: NodeKind;
  readonly dosAttributes?: number;
  readonly mode?: number | undefined;
  readonly target?: string;
}

/** All callers may access everything, since nodes without a stored security descriptor must be usable. */
const DEFAULT_MODE: Readonly<Record<NodeKind, number>> = { file: 0o666, directory: 0o777, symlink: 0o777 };

const nameFilter = (node: MemoryNode): number =>
  node.kind === 'directory' ? NotifyFilter.DIR_NAME : NotifyFilter.FILE_NAME;

export class MemoryTree {
  readonly root: MemoryNode;
  readonly budget: Budget;
  readonly watchers = new Watchers();
  /** All nodes with a name, and new ones without a name yet. */
  readonly byId = new Map<bigint, MemoryNode>();
  private readonly options: TreeOptions;
  private lastId = 0n;
  private lastTime = 0n;

  constructor(options: TreeOptions) {
    this.options = options;
    this.budget = new Budget(options.capacity);
    this.root = this.newNode({ kind: 'directory' });
  }

  /** Never returns the same time twice, so that any two changes have different times. */
  now(): FileTime {
    const time = this.options.clock();
    this.lastTime = time > this.lastTime ? time : this.lastTime + 1n;
    return this.lastTime;
  }

  lookup(directory: MemoryNode, name: string, caseSensitive: boolean): MemoryNode | undefined {
    if (directory.kind !== 'directory') fail(Status.NOT_A_DIRECTORY);
    const spelling = directory.entries.spelling(name, caseSensitive);
    if (spelling === undefined) return undefined;
    const node = directory.entries.get(spelling)!;
    if (node.places.length > 1) {
      const found = node.places.find((place) => place.directory === directory && place.name === spelling)!;
      node.places = [found, ...node.places.filter((place) => place !== found)];
    }
    return node;
  }

  create(directory: MemoryNode, name: string, wanted: NewNode): MemoryNode {
    this.checkTarget(directory, name);
    if (this.occupant(directory, name) !== undefined) fail(Status.OBJECT_NAME_COLLISION);
    const node = this.newNode(wanted);
    this.insert(node, { directory, name }, node.changeTime);
    this.watchers.emit(directory, name, 'added', node, nameFilter(node));
    return node;
  }

  rename(node: MemoryNode, directory: MemoryNode, name: string, replace: boolean): void {
    const from = this.currentPlace(node);
    this.checkTarget(directory, name);
    if (from.directory === directory && from.name === name) return;
    if (isWithin(directory, node)) fail(Status.INVALID_PARAMETER);
    this.makeRoom(from, directory, name, replace);
    const time = this.now();
    this.detach(node, from, time);
    this.insert(node, { directory, name }, time);
    node.changeTime = time;
    const filter = nameFilter(node);
    const stays = from.directory === directory;
    this.watchers.emit(from.directory, from.name, stays ? 'renamed-old' : 'removed', node, filter);
    this.watchers.emit(directory, name, stays ? 'renamed-new' : 'added', node, filter);
    if (node.kind !== 'directory') {
      this.watchers.emit(directory, name, 'modified', node, NotifyFilter.ATTRIBUTES | NotifyFilter.CREATION);
    }
  }

  link(node: MemoryNode, directory: MemoryNode, name: string, replace: boolean): void {
    if (node.kind === 'directory') fail(Status.FILE_IS_A_DIRECTORY);
    if (node.owner !== undefined) fail(Status.INVALID_PARAMETER);
    this.currentPlace(node);
    this.checkTarget(directory, name);
    this.makeRoom(undefined, directory, name, replace);
    const time = this.now();
    const primary = node.places[0];
    this.insert(node, { directory, name }, time);
    if (primary !== undefined) node.places = [primary, ...node.places.filter((place) => place !== primary)];
    node.changeTime = time;
    this.watchers.emit(directory, name, 'added', node, NotifyFilter.FILE_NAME);
  }

  remove(node: MemoryNode): void {
    const place = this.currentPlace(node);
    if (node.entries.size > 0) fail(Status.DIRECTORY_NOT_EMPTY);
    this.unlink(node, place);
  }

  setAttributes(node: MemoryNode, wanted: SetAttributes): void {
    const file = node.file;
    const before = file.settable();
    file.creationTime = wanted.creationTime ?? file.creationTime;
    file.lastAccessTime = wanted.lastAccessTime ?? file.lastAccessTime;
    file.lastWriteTime = wanted.lastWriteTime ?? file.lastWriteTime;
    file.dosAttributes = wanted.dosAttributes ?? file.dosAttributes;
    file.mode = wanted.mode === undefined ? file.mode : wanted.mode & 0o7777;
    if (wanted.changeTime !== undefined) file.changeTime = wanted.changeTime;
    else if (file.settable() !== before) file.changeTime = this.now();
    let filter = 0;
    if (wanted.creationTime !== undefined) filter |= NotifyFilter.CREATION;
    if (wanted.lastAccessTime !== undefined) filter |= NotifyFilter.LAST_ACCESS;
    if (wanted.lastWriteTime !== undefined) filter |= NotifyFilter.LAST_WRITE;
    if (wanted.dosAttributes !== undefined) filter |= NotifyFilter.ATTRIBUTES;
    if (wanted.mode !== undefined) filter |= NotifyFilter.SECURITY;
    if (filter !== 0) this.watchers.modified(file, filter);
  }

  /** Runs a change of content, then updates times and the archive bit and notifies watchers. */
  changeContent(node: MemoryNode, change: () => void): void {
    const before = node.content.size;
    change();
    const file = node.file;
    file.lastWriteTime = file.changeTime = this.now();
    file.dosAttributes |= FileAttribute.ARCHIVE;
    const resized = node.content.size !== before;
    const filter =
      node.owner === undefined
        ? NotifyFilter.LAST_WRITE | NotifyFilter.ATTRIBUTES | (resized ? NotifyFilter.SIZE : 0)
        : NotifyFilter.STREAM_WRITE | (resized ? NotifyFilter.STREAM_SIZE : 0);
    this.watchers.modified(file, filter);
  }

  /** Records a change of security, extended attributes or the set of streams. */
  changeMetadata(node: MemoryNode, filter: number): void {
    node.file.changeTime = this.now();
    this.watchers.modified(node, filter);
  }

  newStream(owner: MemoryNode): MemoryNode {
    return this.newNode({ kind: 'file' }, owner);
  }

  private newNode(wanted: NewNode, owner?: MemoryNode): MemoryNode {
    const archive = wanted.kind === 'file' ? FileAttribute.ARCHIVE : 0;
    const node = new MemoryNode({
      id: owner === undefined ? ++this.lastId : owner.id,
      kind: wanted.kind,
      time: this.now(),
      budget: this.budget,
      dosAttributes: (wanted.dosAttributes ?? 0) | archive,
      mode: wanted.mode ?? DEFAULT_MODE[wanted.kind],
      uid: this.options.uid,
      gid: this.options.gid,
      ...(wanted.target === undefined ? {} : { target: wanted.target }),
      ...(owner === undefined ? {} : { owner }),
    });
    if (owner === undefined) this.byId.set(node.id, node);
    return node;
  }

  private occupant(directory: MemoryNode, name: string): string | undefined {
    return directory.entries.spelling(name, this.options.caseSensitive);
  }

  private checkTarget(directory: MemoryNode, name: string): void {
    if (directory.kind !== 'directory') fail(Status.NOT_A_DIRECTORY);
    if (directory.removed) fail(Status.OBJECT_PATH_NOT_FOUND);
    if (name.length === 0 || name.length > MAX_NAME_UNITS) fail(Status.OBJECT_NAME_INVALID);
  }

  private currentPlace(node: MemoryNode): Place {
    if (node.owner !== undefined) fail(Status.INVALID_PARAMETER);
    if (node.removed) fail(Status.FILE_DELETED);
    return node.places[0] ?? fail(Status.ACCESS_DENIED);
  }

  /**
   * Removes the object that has the name, unless it is the entry that is being renamed ([MS-FSA] 2.1.5.15.6 and
   * 2.1.5.15.11).
   */
  private makeRoom(from: Place | undefined, directory: MemoryNode, name: string, replace: boolean): void {
    const spelling = this.occupant(directory, name);
    if (spelling === undefined) return;
    if (from?.directory === directory && from.name === spelling) return;
    if (!replace) fail(Status.OBJECT_NAME_COLLISION);
    const target = directory.entries.get(spelling)!;
    if (target.kind === 'directory') fail(Status.ACCESS_DENIED);
    if ((target.dosAttributes & FileAttribute.READONLY) !== 0) fail(Status.ACCESS_DENIED);
    this.unlink(
      target,
      target.places.find((place) => place.directory === directory && place.name === spelling)!,
    );
  }

  private unlink(node: MemoryNode, place: Place): void {
    const time = this.now();
    this.detach(node, place, time);
    node.changeTime = time;
    node.removed = node.places.length === 0;
    if (node.removed) this.byId.delete(node.id);
    node.releaseIfUnused();
    this.watchers.emit(place.directory, place.name, 'removed', node, nameFilter(node));
  }

  private insert(node: MemoryNode, place: Place, time: FileTime): void {
    place.directory.entries.set(place.name, node);
    node.places = [place, ...node.places];
    node.removed = false;
    place.directory.lastWriteTime = place.directory.changeTime = time;
  }

  private detach(node: MemoryNode, place: Place, time: FileTime): void {
    place.directory.entries.delete(place.name);
    node.places = node.places.filter((other) => other !== place);
    node.lastPlace = place;
    place.directory.lastWriteTime = place.directory.changeTime = time;
  }
}

function isWithin(directory: MemoryNode, ancestor: MemoryNode): boolean {
  for (let node: MemoryNode | undefined = directory; node !== undefined; node = node.places[0]?.directory) {
    if (node === ancestor) return true;
  }
  return false;
}

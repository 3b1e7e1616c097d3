import type { ShareBackend } from '../backend.ts';
import { Access } from '../wire/constants.ts';

/** A backend's node, opaque to the server. */
export type Node = object;

/** What links know as `path`, absolute, is found at `at`, which are names from the share's root on. */
export interface LinkRoot {
  readonly path: string;
  readonly at: readonly string[];
}

export interface ShareOptions {
  readonly name: string;
  readonly comment?: string;
  readonly backend: ShareBackend<Node>;
  /** Whether guests may connect. */
  readonly guest: boolean;
  /** Names of the users who may connect. Default: all users. */
  readonly users?: readonly string[];
  /** Refuses unencrypted requests (3.x), and clients that cannot encrypt. */
  readonly encrypt?: boolean;
  /** Whether a client at this address may connect. */
  readonly allow?: (address: string) => boolean;
  /** Follows symbolic links that stay inside the share. Otherwise clients get the links. */
  readonly followSymlinks?: boolean;
  /**
   * Where absolute targets of links are found in the share. A place in the share has the path of the first root whose `at`
   * holds it.
   */
  readonly linkRoots?: readonly LinkRoot[];
  /**
   * Persistent handles: handles survive the connection, as long as the client asks for. On a read-only share they also
   * survive the server, since the node's id in the handle is their only state.
   */
  readonly continuouslyAvailable?: boolean;
  /** Names must match exactly, for every client. */
  readonly caseSensitive?: boolean;
}

/** Whether a client at this address may use the share. */
export const allowsAddress = ({ allow }: ShareOptions, address: string): boolean => allow?.(address) ?? true;

/** A share's backend and rules, without its open files. */
export class Volume {
  options: ShareOptions;
  readonly backend: ShareBackend<Node>;
  /** Persistent halves of FileIds, cached: encrypting one takes longer than the rest of an open. */
  readonly persistentIds = new WeakMap<Node, bigint>();

  constructor(options: ShareOptions) {
    this.options = options;
    this.backend = options.backend;
  }

  get name(): string {
    return this.options.name;
  }

  get readOnly(): boolean {
    return this.backend.changes === undefined;
  }

  /**
   * Whether clients see the targets of links and never the links. On a writable share links can still be opened
   * (FILE_OPEN_REPARSE_POINT), to delete them.
   */
  get hidesLinks(): boolean {
    return this.options.followSymlinks === true && this.readOnly;
  }

  /** The most rights that anybody can have on this share. */
  get maximalAccess(): number {
    return this.readOnly ? Access.READ_ONLY : Access.ALL;
  }

  /** The names from the root to the node. */
  namesOf(node: Node): string[] {
    const names: string[] = [];
    let place = this.backend.parent(this.backend.changes?.streams?.owner(node)?.node ?? node);
    while (place) {
      names.unshift(place.name);
      place = this.backend.parent(place.directory);
    }
    return names;
  }
}

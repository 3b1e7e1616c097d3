import type { ShareBackend } from '../backend.ts';
import { Access } from '../wire/constants.ts';

/** A backend's node, of which the server knows the identity only. */
export type Node = object;

export interface ShareOptions {
  readonly name: string;
  readonly comment?: string;
  readonly backend: ShareBackend<Node>;
  /** Whether guests may connect. */
  readonly guest: boolean;
  /** Names of the users who may connect; all of them unless given. */
  readonly users?: readonly string[];
  /** Refuses unencrypted requests (3.x) and clients that cannot encrypt. */
  readonly encrypt?: boolean;
  /** Whether a client at this address may connect. */
  readonly allow?: (address: string) => boolean;
  /** Follows symbolic links that stay inside the share instead of handing them to the client. */
  readonly followSymlinks?: boolean;
  /** Where the share's root is for absolute targets of links: those below it stay inside. */
  readonly linkRoot?: string;
  /**
   * Handles outlive connections for as long as clients ask (persistent handles), and on a read-only share the server too: the
   * node's id in the handle is all the state there is.
   */
  readonly continuouslyAvailable?: boolean;
  /** Exact names only, for every client. */
  readonly caseSensitive?: boolean;
}

/** Whether the share is there for a client at this address. */
export const allowsAddress = ({ allow }: ShareOptions, address: string): boolean => allow?.(address) ?? true;

/** A share's backend and rules, without what is open in it. */
export class Volume {
  options: ShareOptions;
  readonly backend: ShareBackend<Node>;
  /** Persistent halves of FileIds; enciphering one takes longer than everything else about an open. */
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
   * Clients see what links lead to and never the links. Where something can be written they can be opened all the same
   * (FILE_OPEN_REPARSE_POINT), to be deleted.
   */
  get hidesLinks(): boolean {
    return this.options.followSymlinks === true && this.readOnly;
  }

  /** Rights nobody exceeds on this share. */
  get maximalAccess(): number {
    return this.readOnly ? Access.READ_ONLY : Access.ALL;
  }

  /** Names from the root to the node. */
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

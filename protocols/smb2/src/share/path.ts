/** Resolves paths to nodes: case, symbolic links, streams. */
import type { CallContext, NodeAttributes } from '../backend.ts';
import { DetailedStatusError, StatusError } from '../errors.ts';
import { encodeSymlinkError } from '../wire/error-response.ts';
import { sentBehind } from '../names/path-name.ts';
import type { ParsedPath } from '../names/path-name.ts';
import { Status } from '../wire/status.ts';
import type { LinkRoot, Node, Volume } from './volume.ts';

export interface Resolved {
  /** The directory with the last name; undefined for the root. */
  readonly directory: Node | undefined;
  /** The last name as the client sent it. */
  readonly name: string;
  /** Undefined when the object does not exist. */
  readonly node: Node | undefined;
  /** XOR of the ids of all links that were followed; 0 without any. */
  readonly alias: bigint;
}

export interface ResolveOptions {
  readonly caseSensitive: boolean;
  /** The last component may itself be opened as a symbolic link (FILE_OPEN_REPARSE_POINT). */
  readonly openLink: boolean;
  readonly maxHops: number;
}

/** A link in the client's path, for the error that tells the client to follow it. */
interface NamedLink {
  readonly target: string;
  /** Index of its component in the client's path. */
  readonly component: number;
}

/**
 * Walks from the root.
 * @throws StatusError OBJECT_PATH_NOT_FOUND when a directory on the path is missing; STOPPED_ON_SYMLINK with its data.
 */
export async function resolve(
  share: Volume,
  path: ParsedPath,
  options: ResolveOptions,
  call: CallContext,
): Promise<Resolved> {
  const { backend } = share;
  const caseSensitive = options.caseSensitive || share.options.caseSensitive === true;
  let names = path.names;
  let hops = 0;
  /** How many of the last names come from the client's path, and the last link before them. */
  let own = names.length;
  let named: NamedLink | undefined;
  let alias = 0n;
  let at: Node = backend.root;
  let directory: Node | undefined;
  for (let index = 0; index < names.length; index++) {
    const name = names[index]!;
    const left = names.length - index;
    const isLast = left === 1;
    const found = backend.lookup(at, name, caseSensitive, call);
    const node = found instanceof Promise ? await found : found;
    if (!node) {
      if (!isLast) throw new StatusError(Status.OBJECT_PATH_NOT_FOUND);
      return { directory: at, name, node: undefined, alias };
    }
    const opensLink = isLast && options.openLink;
    const looked = opensLink && !share.hidesLinks ? undefined : await attributesOf(share, node, call);
    const kind = looked?.kind;
    if (looked?.kind === 'symlink') {
      const target = await backend.readlink(node, call);
      if (left <= own || !named) named = { target, component: path.names.length - left };
      const inside = hops < options.maxHops ? targetInside(share, names.slice(0, index), target) : undefined;
      if (inside) {
        own = Math.min(own, left - 1);
        alias ^= looked.id;
        names = [...inside, ...names.slice(index + 1)];
        hops++;
        index = -1;
        at = backend.root;
        directory = undefined;
        continue;
      }
      if (!opensLink) throw stopped(path, named);
    }
    if (kind === 'file' && !isLast) throw new StatusError(Status.OBJECT_PATH_NOT_FOUND);
    directory = at;
    at = node;
  }
  return { directory, name: names.at(-1) ?? '', node: at, alias };
}

const leadsNowhere: ReadonlySet<number> = new Set([
  Status.OBJECT_NAME_NOT_FOUND,
  Status.OBJECT_PATH_NOT_FOUND,
  Status.STOPPED_ON_SYMLINK,
]);

export interface FollowedLink {
  readonly node: Node;
  readonly attributes: NodeAttributes;
  readonly alias: bigint;
}

/** Resolves a link in a share that follows links. Returns undefined when it dangles or leads out of the share. */
export async function followLink(
  share: Volume,
  link: Node,
  maxHops: number,
  call: CallContext,
): Promise<FollowedLink | undefined> {
  const path = { names: share.namesOf(link), stream: undefined };
  try {
    const options = { caseSensitive: true, openLink: false, maxHops };
    const { node, alias } = await resolve(share, path, options, call);
    return node && { node, alias, attributes: await share.backend.attributes(node, call) };
  } catch (error) {
    if (error instanceof StatusError && leadsNowhere.has(error.status)) return undefined;
    throw error;
  }
}

async function attributesOf(share: Volume, node: Node, call: CallContext): Promise<NodeAttributes> {
  return share.backend.cachedAttributes(node) ?? (await share.backend.attributes(node, call));
}

const parts = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');

const rootOnly: readonly LinkRoot[] = [{ path: '/', at: [] }];

const startsWith = (names: readonly string[], beginning: readonly string[]): boolean =>
  beginning.every((part, index) => names[index] === part);

/**
 * The names from the root to a link's target; undefined when links are not followed or the target is outside.
 * @param above names of the folder that holds the link.
 */
function targetInside(share: Volume, above: readonly string[], target: string): string[] | undefined {
  const { followSymlinks, linkRoots } = share.options;
  if (followSymlinks !== true) return undefined;
  const isAbsolute = target.startsWith('/');
  if (isAbsolute && linkRoots === undefined) return undefined;
  const roots = linkRoots ?? rootOnly;
  const home = deepest(roots, ({ at }) => at, above);
  if (!home) return undefined;
  const names = isAbsolute ? [] : [...parts(home.path), ...above.slice(home.at.length)];
  for (const part of parts(target)) {
    if (part !== '..') names.push(part);
    else if (names.pop() === undefined) return undefined;
  }
  const found = deepest(roots, ({ path }) => parts(path), names);
  return found && [...found.at, ...names.slice(parts(found.path).length)];
}

/** The root under whose names these lie; of several the one with the most names, and of these the first. */
function deepest(
  roots: readonly LinkRoot[],
  namesOf: (root: LinkRoot) => readonly string[],
  names: readonly string[],
): LinkRoot | undefined {
  let found: LinkRoot | undefined;
  for (const root of roots) {
    if (!startsWith(names, namesOf(root))) continue;
    if (!found || namesOf(root).length > namesOf(found).length) found = root;
  }
  return found;
}

/** [MS-SMB2] 3.3.5.9: the client replaces the link by its target and tries again. */
function stopped(path: ParsedPath, { target, component }: NamedLink): DetailedStatusError {
  const rest = path.names.slice(component + 1).map((name) => `\\${name}`);
  const unparsed = path.sent === undefined ? rest.join('') : sentBehind(path.sent, component);
  return new DetailedStatusError(
    Status.STOPPED_ON_SYMLINK,
    encodeSymlinkError(target.replaceAll('/', '\\'), unparsed),
  );
}

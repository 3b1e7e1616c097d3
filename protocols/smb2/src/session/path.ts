/** From a path to a node: case, symbolic links, streams. */
import type { CallContext, NodeAttributes } from '../backend.ts';
import { DetailedStatusError, StatusError } from '../errors.ts';
import { encodeSymlinkError } from '../wire/error-response.ts';
import type { ParsedPath } from './names.ts';
import { Status } from '../wire/status.ts';
import type { Node, Share } from './share.ts';
import { isMadeShortName, shortName } from './short-name.ts';

export interface Resolved {
  /** The directory that holds the last name; undefined for the root. */
  readonly directory: Node | undefined;
  /** The last name as the client gave it. */
  readonly name: string;
  /** Undefined when there is no such object. */
  readonly node: Node | undefined;
}

export interface ResolveOptions {
  readonly caseSensitive: boolean;
  /** The last component may be a symbolic link itself (FILE_OPEN_REPARSE_POINT). */
  readonly openLink: boolean;
  readonly maxHops: number;
}

/**
 * Walks from the root.
 * @throws StatusError OBJECT_PATH_NOT_FOUND when a directory on the way is missing; STOPPED_ON_SYMLINK with its data.
 */
export async function resolve(
  share: Share,
  path: ParsedPath,
  options: ResolveOptions,
  call: CallContext,
): Promise<Resolved> {
  const { backend } = share;
  const caseSensitive = options.caseSensitive || share.options.caseSensitive === true;
  let names = [...path.names];
  let hops = 0;
  let at: Node = backend.root;
  let directory: Node | undefined;
  for (let index = 0; index < names.length; index++) {
    const name = names[index]!;
    const isLast = index === names.length - 1;
    const found = backend.lookup(at, name, caseSensitive, call);
    let node = found instanceof Promise ? await found : found;
    if (!node && !caseSensitive && isMadeShortName(name)) node = await byShortName(share, at, name, call);
    if (!node) {
      if (!isLast) throw new StatusError(Status.OBJECT_PATH_NOT_FOUND);
      return { directory: at, name, node: undefined };
    }
    const kind = isLast && options.openLink ? undefined : await kindOf(share, node, call);
    if (kind === 'symlink') {
      const rest = names.slice(index + 1);
      const target = await backend.readlink(node, call);
      const inside =
        share.options.followSymlinks === true ? withinShare(names.slice(0, index), target, rest) : undefined;
      if (!inside || ++hops > options.maxHops) throw stopped(target, rest);
      names = inside;
      index = -1;
      at = backend.root;
      directory = undefined;
      continue;
    }
    if (kind === 'file' && !isLast) throw new StatusError(Status.OBJECT_PATH_NOT_FOUND);
    directory = at;
    at = node;
  }
  return { directory, name: names.at(-1) ?? '', node: at };
}

/** A client that was told a short name may come back with it. */
async function byShortName(
  share: Share,
  directory: Node,
  name: string,
  call: CallContext,
): Promise<Node | undefined> {
  const listing = await share.backend.list(directory, call);
  for (let index = 0; index < listing.length; index++) {
    const long = listing.nameAt(index);
    if (shortName(long) === name.toUpperCase())
      return await share.backend.lookup(directory, long, true, call);
  }
  return undefined;
}

async function kindOf(share: Share, node: Node, call: CallContext): Promise<NodeAttributes['kind']> {
  const cached = share.backend.cachedAttributes(node);
  return (cached ?? (await share.backend.attributes(node, call))).kind;
}

/** The target's names from the root, if it stays inside. */
function withinShare(
  above: readonly string[],
  target: string,
  rest: readonly string[],
): string[] | undefined {
  if (target.startsWith('/')) return undefined;
  const names = [...above];
  for (const name of target.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.pop() === undefined) return undefined;
  }
  return [...names, ...rest];
}

/** [MS-SMB2] 3.3.5.9: the client substitutes the target and tries again. */
function stopped(target: string, rest: readonly string[]): DetailedStatusError {
  const unparsed = rest.length === 0 ? '' : `\\${rest.join('\\')}`;
  return new DetailedStatusError(
    Status.STOPPED_ON_SYMLINK,
    encodeSymlinkError(target.replaceAll('/', '\\'), unparsed),
  );
}

/**
 * What becomes of answers while a connection comes to its end. A thread of the client that has no answer asks nothing more, and
 * what it does next it does over the next connection.
 *
 * Linux takes badly if a connection ends over a directory scan: a program has an error if its beginning was lost, or
 * (before 6.8) if it asks for the rest of it meanwhile. So whoever scans is answered, and stopped where the scan is over.
 */
import type { Sealer } from '../crypto/index.ts';
import { Command, CreateOption, Disposition, HEADER_SIZE } from '../wire/constants.ts';
import { createRequest } from '../wire/create.ts';
import { InfoType, queryInfoRequest } from '../wire/query.ts';

/** A request, as far as the fate of its answer depends on it. */
export interface AnsweredRequest {
  readonly header: { readonly command: number };
  readonly packet: Buffer;
  readonly openOrUndefined:
    { readonly kind: 'file'; readonly isDirectory: boolean } | { readonly kind: 'pipe' } | undefined;
}

/** `scans`: only who scans is stopped. `all`: everybody else is, too. */
export type Stopping = 'nobody' | 'scans' | 'all';

/** `keep`: until the moment of the end. `drop`: kept as well, but not missed then. */
export type Fate = 'send' | 'keep' | 'drop';

export interface KeptAnswer {
  readonly buffer: Buffer;
  readonly end: number;
  readonly sealer: Sealer | undefined;
  /** Told when the buffer may be reused. */
  readonly owner?: { release(): void } | undefined;
  readonly fate: Fate;
  readonly isRead: boolean;
}

/** Those without which there is no next request, and those that go on with a scan. */
const neverStopped: ReadonlySet<number> = new Set([
  Command.NEGOTIATE,
  Command.SESSION_SETUP,
  Command.LOGOFF,
  Command.TREE_CONNECT,
  Command.IOCTL,
  Command.ECHO,
  Command.QUERY_DIRECTORY,
]);

/** @param message the requests that came together. */
export function fateOfAnswer(message: readonly AnsweredRequest[], stopping: Stopping): Fate {
  if (stopping === 'nobody' || message.some(({ header }) => neverStopped.has(header.command))) return 'send';
  const [first] = message;
  const isClose = message.length === 1 && first!.header.command === Command.CLOSE;
  if (stopping === 'scans') return isClose && isOfDirectory(first!) ? 'drop' : 'send';
  // A CLOSE is done, and Linux asks for attributes again: only once it has seen the end of the connection.
  return isClose || asksForAttributes(message) ? 'drop' : 'keep';
}

const isOfDirectory = ({ openOrUndefined: open }: AnsweredRequest): boolean =>
  open?.kind === 'file' && open.isDirectory;

/** The compound with which Linux looks at a path. */
function asksForAttributes(message: readonly AnsweredRequest[]): boolean {
  const [create, query, close] = message;
  if (!create || !query || close?.header.command !== Command.CLOSE || message.length > 3) return false;
  return isPlainOpen(create) && isAttributesQuery(query);
}

function isPlainOpen({ header, packet }: AnsweredRequest): boolean {
  if (header.command !== Command.CREATE || packet.length < HEADER_SIZE + createRequest.size) return false;
  const { disposition, options } = createRequest.decode(packet, HEADER_SIZE);
  return disposition === Disposition.OPEN && (options & CreateOption.DELETE_ON_CLOSE) === 0;
}

function isAttributesQuery({ header, packet }: AnsweredRequest): boolean {
  if (header.command !== Command.QUERY_INFO || packet.length < HEADER_SIZE + queryInfoRequest.size)
    return false;
  return queryInfoRequest.decode(packet, HEADER_SIZE).infoType === InfoType.FILE;
}

/**
 * What is sent of them at the end, and in which order: READs first and the latest of them ahead, so that a stream gets
 * what it waits for as the last thing, and does not ask for more before it sees the end.
 */
export function lastOrder(answers: readonly KeptAnswer[]): KeptAnswer[] {
  const missed = answers.filter(({ fate }) => fate === 'keep');
  return [...missed.filter(({ isRead }) => isRead).reverse(), ...missed.filter(({ isRead }) => !isRead)];
}

/**
 * Decides what happens to each answer while a connection drains. A thread of the client that gets no answer sends
 * nothing more, and continues over the next connection.
 *
 * Linux fails a directory scan when the connection ends in the middle of it: always when the first part is lost, and
 * (before 6.8) when the next part is requested meanwhile. So scans are answered, and stopped only when the scan is
 * over.
 */
import type { Sealer } from '../crypto/index.ts';
import { Command, CreateOption, Disposition, HEADER_SIZE } from '../wire/constants.ts';
import { createRequest } from '../wire/create.ts';
import { InfoType, queryInfoRequest } from '../wire/query.ts';

/** The parts of a request on which the fate of its answer depends. */
export interface AnsweredRequest {
  readonly header: { readonly command: number };
  readonly packet: Buffer;
  readonly openOrUndefined:
    { readonly kind: 'file'; readonly isDirectory: boolean } | { readonly kind: 'pipe' } | undefined;
}

/** Which answers are kept. `scans`: only that to the CLOSE of a directory, which ends a scan. `all`: nearly all. */
export type Stopping = 'none' | 'scans' | 'all';

/** `keep`: send at the end. `drop`: do not send; the client repeats the request or does not need the answer. */
export type Fate = 'send' | 'keep' | 'drop';

export interface KeptAnswer {
  readonly buffer: Buffer;
  readonly end: number;
  readonly sealer: Sealer | undefined;
  /** Notified when the buffer can be reused. */
  readonly owner?: { release(): void } | undefined;
  readonly fate: Fate;
  readonly isRead: boolean;
}

/** Commands that other requests depend on, and QUERY_DIRECTORY, which continues a scan. */
const neverStopped: ReadonlySet<number> = new Set([
  Command.NEGOTIATE,
  Command.SESSION_SETUP,
  Command.LOGOFF,
  Command.TREE_CONNECT,
  Command.IOCTL,
  Command.ECHO,
  Command.QUERY_DIRECTORY,
]);

/** @param message the requests of one message. */
export function fateOfAnswer(message: readonly AnsweredRequest[], stopping: Stopping): Fate {
  if (stopping === 'none' || message.some(({ header }) => neverStopped.has(header.command))) return 'send';
  const [first] = message;
  const isClose = message.length === 1 && first!.header.command === Command.CLOSE;
  if (stopping === 'scans') return isClose && isOfDirectory(first!) ? 'drop' : 'send';
  // A CLOSE has been done, and Linux repeats attribute queries once it sees the end of the connection.
  return isClose || asksForAttributes(message) ? 'drop' : 'keep';
}

const isOfDirectory = ({ openOrUndefined: open }: AnsweredRequest): boolean =>
  open?.kind === 'file' && open.isDirectory;

/** Whether the message is the compound with which Linux queries the attributes of a path. */
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
 * Returns the answers to send at the end, in order. READs come first, newest to oldest: a stream waits for its oldest
 * READ, so it sends no further request before it sees the FIN.
 */
export function lastOrder(answers: readonly KeptAnswer[]): KeptAnswer[] {
  const missed = answers.filter(({ fate }) => fate === 'keep');
  return [...missed.filter(({ isRead }) => isRead).reverse(), ...missed.filter(({ isRead }) => !isRead)];
}

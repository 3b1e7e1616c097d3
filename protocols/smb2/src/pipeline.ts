/**
 * Processes every message: decrypt, header, session, tree connect, validate, signature, credits, handler, next request
 * of the compound; then sign, encrypt, write ([MS-SMB2] 3.3.5.2). Handlers return a reply or throw. Only this module
 * sends.
 */
import { commands } from './commands/table.ts';
import type { CommandRow } from './commands/table.ts';
import { negotiateSmb1 } from './commands/negotiate.ts';
import { recogniseForeign } from './commands/session-bind.ts';
import { UnsealError } from './crypto/index.ts';
import type { Signer } from './crypto/index.ts';
import { DetailedStatusError, DisconnectError, MalformedError, StatusError } from './errors.ts';
import type { Connection } from './connection/connection.ts';
import { errorReply } from './context/reply.ts';
import type { Reply } from './context/reply.ts';
import type { AnyOpen } from './open/any-open.ts';
import type { ServerState } from './registry/server-state.ts';
import { Chain } from './request/chain.ts';
import { Request } from './request/request.ts';
import { judgeArrival } from './session/protection.ts';
import type { Arrival, SessionProtection } from './session/protection.ts';
import type { Session } from './session/session.ts';
import type { TreeConnect } from './session/tree.ts';
import { Command, Dialect, HeaderFlags, HEADER_SIZE } from './wire/constants.ts';
import { COMPRESSION_ID, decodeHeader, SMB1_ID, TRANSFORM_ID } from './wire/header.ts';
import { Status } from './wire/status.ts';

const SMALL = 1024;

/** @throws MalformedError when the connection must end. */
export function receive(connection: Connection, received: Buffer, server: ServerState): void {
  // Copied, so that a small request that waits long does not keep the whole received chunk in memory.
  const frame = received.length <= SMALL ? Buffer.from(received) : received;
  const protocol = frame.length < 4 ? 0 : frame.readUInt32LE(0);
  if (protocol === SMB1_ID) {
    negotiateSmb1(connection, frame);
    return;
  }
  if (protocol === COMPRESSION_ID) throw new MalformedError('compression was not negotiated');
  const sealed = protocol === TRANSFORM_ID ? sealingSession(connection, frame) : undefined;
  const chain = new Chain(connection, sealed);
  const requests = split(chain, sealed?.sealer ? unseal(sealed, frame) : frame);
  chain.requests = requests;
  for (const request of requests) takeCredits(request);
  connection.hold(frame.length);
  run({ chain, requests, bytes: frame.length, server }, 0);
}

interface Message {
  readonly chain: Chain;
  readonly requests: readonly Request[];
  /** Bytes that the message holds until all its requests are answered. */
  readonly bytes: number;
  readonly server: ServerState;
}

/** Runs the requests of a chain one after the other. A promise does not delay other chains. */
function run(message: Message, from: number): void {
  const { chain, requests, bytes, server } = message;
  const { connection } = chain;
  for (let index = from; index < requests.length && !connection.closed; index++) {
    const request = requests[index]!;
    const row = commands[request.header.command];
    const result = dispatch(request, row, server);
    if (result instanceof Promise) {
      connection.running.set(request.header.messageId, request);
      void runLater(message, index, row, result);
      return;
    }
    finish(request, row, result);
  }
  chain.flush();
  connection.releaseHeld(bytes);
}

async function runLater(
  message: Message,
  index: number,
  row: CommandRow | undefined,
  result: Promise<Reply | undefined>,
): Promise<void> {
  const { connection } = message.chain;
  const request = message.requests[index]!;
  try {
    const answer = await result;
    connection.running.delete(request.header.messageId);
    if (request.asyncId !== undefined) connection.async.delete(request.asyncId);
    finish(request, row, answer);
    run(message, index + 1);
  } catch (error) {
    connection.fail(error);
  }
}

function dispatch(
  request: Request,
  row: CommandRow | undefined,
  server: ServerState,
): Reply | undefined | Promise<Reply | undefined> {
  try {
    if (!row) throw new StatusError(Status.INVALID_PARAMETER);
    validate(request, row, server);
    const open = row.ends ? undefined : request.openOrUndefined;
    const result = row.handle(request, server);
    return result instanceof Promise ? settle(request, open, result) : result;
  } catch (error) {
    return failed(request, error);
  }
}

/** Awaits a handler. Its open counts as in use meanwhile. */
async function settle(
  request: Request,
  open: AnyOpen | undefined,
  result: Promise<Reply | undefined>,
): Promise<Reply | undefined> {
  open?.begin();
  try {
    return await result;
  } catch (error) {
    return await failed(request, error);
  } finally {
    open?.end();
  }
}

/** While draining, STATUS_RETRY is withheld: the client would retry here at once instead of reconnecting. */
function failed(request: Request, error: unknown): Reply | undefined | Promise<Reply> {
  if (error instanceof DisconnectError) {
    request.connection.fail(error);
    return undefined;
  }
  const answer = failure(request, error);
  // CANCEL has no reply, not even for a failure (3.3.5.16).
  if (request.header.command === Command.CANCEL) return undefined;
  if (answer.status !== Status.RETRY || !request.connection.gate.ending) return answer;
  return request.untilTheEnd().then(() => answer);
}

function finish(request: Request, row: CommandRow | undefined, answer: Reply | undefined): void {
  const { chain } = request;
  if (!answer) return;
  if (row?.opens) {
    const isOpen = answer.status === Status.SUCCESS;
    chain.open = isOpen ? request.openOrUndefined : undefined;
    chain.failure = isOpen ? undefined : answer.status;
  } else if (request.openOrUndefined) chain.open = request.openOrUndefined;
  chain.add(request, answer);
  request.context.hooks.requestFinished?.({
    command: row?.name ?? 'UNKNOWN',
    status: answer.status,
    seconds: (performance.now() - request.started) / 1000,
    bytesIn: request.packet.length,
    bytesOut: HEADER_SIZE + answer.length,
    share: request.treeOrUndefined?.name,
  });
}

function failure(request: Request, error: unknown): Reply {
  if (error instanceof DetailedStatusError)
    return errorReply(error.status, error.data, request.dialect === Dialect.SMB_3_1_1);
  if (error instanceof StatusError) {
    // A backend whose work was aborted throws CANCELLED, whatever the reason was.
    const isStopped = error.status === Status.CANCELLED && request.abandoned !== undefined;
    return errorReply(isStopped ? request.abandoned : error.status);
  }
  if (request.abandoned !== undefined) return errorReply(request.abandoned);
  if (error instanceof MalformedError) {
    const { address, port } = request.connection;
    request.context.hooks.malformed?.({ address, port, reason: error.message });
    return errorReply(Status.INVALID_PARAMETER);
  }
  request.context.hooks.bug?.(error, commands[request.header.command]?.name ?? 'UNKNOWN');
  return errorReply(Status.INTERNAL_ERROR);
}

/** 3.3.5.2.1.1 */
function sealingSession(connection: Connection, frame: Buffer): Session {
  if (frame.length < 52) throw new MalformedError('transform header');
  const id = frame.readUInt32LE(44) + frame.readUInt32LE(48) * 2 ** 32;
  const session = connection.sessions.get(id);
  if (!session?.sealer) throw new MalformedError('sealed message without a session that can seal');
  return session;
}

function unseal(session: Session, frame: Buffer): Buffer {
  try {
    return session.sealer!.unseal(frame);
  } catch (error) {
    if (error instanceof UnsealError) throw new MalformedError(error.message, { cause: error });
    throw error;
  }
}

/** Splits a message at its NextCommand offsets (3.3.5.2.7). */
function split(chain: Chain, message: Buffer): Request[] {
  const requests: Request[] = [];
  let at = 0;
  for (;;) {
    const header = decodeHeader(message, at);
    const { nextCommand } = header;
    const end = nextCommand === 0 ? message.length : at + nextCommand;
    if (nextCommand !== 0 && (nextCommand % 8 !== 0 || nextCommand < HEADER_SIZE + 2 || end > message.length))
      throw new MalformedError('NextCommand');
    if ((header.flags & HeaderFlags.SERVER_TO_REDIR) !== 0)
      throw new MalformedError('a response as a request');
    if (end - at < HEADER_SIZE + 2) throw new MalformedError('request without a body');
    requests.push(new Request(chain, header, message.subarray(at, end)));
    if (requests.length > chain.connection.context.limits.maxCompound)
      throw new MalformedError('compound too long');
    if (nextCommand === 0) return requests;
    at = end;
  }
}

/** 3.3.5.2.3: CANCEL does not use a message id. */
function takeCredits(request: Request): void {
  const { connection, header } = request;
  const { dialect } = connection.negotiated;
  if (dialect === undefined && header.command !== Command.NEGOTIATE)
    throw new MalformedError('a request before NEGOTIATE');
  if (header.command === Command.CANCEL) return;
  const isMultiCredit = dialect !== undefined && dialect > Dialect.SMB_2_0_2;
  connection.credits.use(header.messageId, isMultiCredit ? Math.max(1, header.creditCharge) : 1);
}

/** Finds session, tree connect and open. Refuses requests that must not reach the handler. */
function validate(request: Request, row: CommandRow, server: ServerState): void {
  const { chain, isRelated } = request;
  if (isRelated && chain.requests[0] === request) throw new StatusError(Status.INVALID_PARAMETER);
  findSession(request);
  if (!request.sessionOrUndefined && request.header.sessionId !== 0) recogniseForeign(request, server);
  checkProtection(request, row);
  if (row.session && request.sessionOrUndefined?.state !== 'valid')
    throw new StatusError(Status.USER_SESSION_DELETED);
  if (row.tree) findTree(request);
  const { packet } = request;
  if (
    packet.readUInt16LE(HEADER_SIZE) !== row.structureSize &&
    !row.structureSizes?.includes(packet.readUInt16LE(HEADER_SIZE))
  )
    throw new StatusError(Status.INVALID_PARAMETER);
  if (packet.length < HEADER_SIZE + (packet.readUInt16LE(HEADER_SIZE) & ~1))
    throw new StatusError(Status.INVALID_PARAMETER);
  if (isRelated && chain.failure !== undefined) throw new StatusError(chain.failure);
  checkCharge(request, row);
  if (row.fileId !== undefined && row.actsOnOpen?.(packet) !== false)
    findOpen(request, row, HEADER_SIZE + row.fileId);
}

function findOpen(request: Request, row: CommandRow, at: number): void {
  try {
    request.openOrUndefined = request.chainedOpen(at);
  } catch (error) {
    if (row.resumes && error instanceof StatusError && error.status === Status.FILE_CLOSED) return;
    throw error;
  }
  request.checkChannelSequence(row.changes === true);
}

function findSession(request: Request): void {
  const { chain, header, connection, isRelated } = request;
  if (isRelated && !chain.session) throw new StatusError(Status.INVALID_PARAMETER);
  const session = isRelated ? chain.session : connection.sessions.get(header.sessionId);
  if (!isRelated) chain.restart();
  request.sessionOrUndefined = session;
  chain.session = session;
}

/** A request, as the table in protection.ts needs it. */
class Arrived implements Arrival {
  readonly #request: Request;
  readonly #row: CommandRow;
  readonly #signer: Signer | undefined;
  readonly command: number;
  readonly dialect: number;
  readonly isSigned: boolean;
  readonly isSealed: boolean;
  readonly isSealedBySession: boolean;
  readonly session: SessionProtection | undefined;

  constructor(request: Request, row: CommandRow) {
    const { header, sealed, sessionOrUndefined: session } = request;
    this.#request = request;
    this.#row = row;
    this.#signer = session?.signerOn(request.connection);
    this.command = header.command;
    this.dialect = request.dialect;
    this.isSigned = (header.flags & HeaderFlags.SIGNED) !== 0;
    this.isSealed = sealed !== undefined;
    this.isSealedBySession = sealed === session;
    this.session = session && {
      state: session.state,
      hasKey: this.#signer !== undefined,
      signingRequired: session.signingRequired,
      encryptData: session.encryptData,
    };
  }

  isShareSealed(): boolean {
    if (!this.#row.tree || this.session?.state !== 'valid') return false;
    const { cipher } = this.#request.connection.negotiated;
    return findTree(this.#request).encrypted && cipher !== undefined;
  }

  isSignatureRight(): boolean {
    return this.#signer?.verify(this.#request.packet) === true;
  }
}

/** Refuses a request that is not signed or encrypted as required. */
function checkProtection(request: Request, row: CommandRow): void {
  const verdict = judgeArrival(new Arrived(request, row));
  if (verdict === 'accept') return;
  if (verdict === 'disconnect')
    throw new DisconnectError('a message that was not signed or sealed as required');
  throw new StatusError(verdict);
}

function findTree(request: Request): TreeConnect {
  const { chain, header, isRelated } = request;
  const tree = isRelated ? chain.tree : request.session.trees.get(header.treeId);
  if (!tree) throw new StatusError(Status.NETWORK_NAME_DELETED);
  request.treeOrUndefined = tree;
  chain.tree = tree;
  return tree;
}

/** 3.3.5.2.5: the charge must cover the larger of request payload and possible reply payload. */
function checkCharge(request: Request, row: CommandRow): void {
  const { dialect } = request;
  if (!row.payload || dialect === 0 || dialect === Dialect.SMB_2_0_2) return;
  const payload = row.payload(request.packet);
  const needed = payload === 0 ? 1 : Math.floor((payload - 1) / 65536) + 1;
  if (Math.max(1, request.header.creditCharge) < needed) throw new StatusError(Status.INVALID_PARAMETER);
}

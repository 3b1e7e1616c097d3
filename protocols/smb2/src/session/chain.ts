/** The replies to one message: a single one or a compound chain ([MS-SMB2] 3.3.4.1.3). */
import { StatusError } from '../errors.ts';
import { Command, Dialect, HeaderFlags, HEADER_SIZE } from '../wire/constants.ts';
import { errorContext, errorResponse } from '../wire/error-response.ts';
import { encodeHeader, setNextCommand } from '../wire/header.ts';
import { Status } from '../wire/status.ts';
import type { NtStatus } from '../wire/status.ts';
import { align } from '../wire/struct.ts';
import type { Connection } from './connection.ts';
import type { AnyOpen } from './open.ts';
import { signsReply } from './protection.ts';
import { randomId } from './random-id.ts';
import { BODY, FRAME_HEADER, TRANSFORM_HEADER, reply } from './reply.ts';
import type { Reply } from './reply.ts';
import type { Request } from './request.ts';
import type { Session } from './session.ts';
import type { TreeConnect } from './tree.ts';

const MESSAGE = FRAME_HEADER + TRANSFORM_HEADER;

export class Chain {
  readonly connection: Connection;
  readonly sealed: Session | undefined;
  requests: readonly Request[] = [];
  /** What a related request takes over from the one before. */
  session: Session | undefined;
  tree: TreeConnect | undefined;
  open: AnyOpen | undefined;
  /** Why there is no open to take over. */
  failure: NtStatus | undefined;
  #ready: { request: Request; reply: Reply }[] = [];

  constructor(connection: Connection, sealed: Session | undefined) {
    this.connection = connection;
    this.sealed = sealed;
  }

  /** An unrelated request takes nothing over, and neither do those after it from before it. */
  restart(): void {
    this.session = undefined;
    this.tree = undefined;
    this.open = undefined;
    this.failure = undefined;
  }

  add(request: Request, answer: Reply): void {
    this.#ready.push({ request, reply: answer });
  }

  /** An interim reply is possible for the last request only; those before it are answered first. */
  sendInterim(request: Request): void {
    const { connection } = this;
    if (request.asyncId !== undefined || this.requests.at(-1) !== request || connection.closed) return;
    if (request.header.command === Command.CANCEL) return;
    if (connection.async.size >= connection.server.limits.maxAsyncPerConnection)
      throw new StatusError(Status.INSUFFICIENT_RESOURCES);
    this.flush();
    request.asyncId = randomId();
    connection.async.set(request.asyncId, request);
    const interim = errorReply(Status.PENDING);
    this.#writeHeader(request, interim);
    connection.send(interim.buffer, BODY + interim.length, this.sealed?.sealer);
  }

  /** Sends what is ready. */
  flush(): void {
    const ready = this.#ready;
    this.#ready = [];
    if (ready.length === 0) return;
    if (ready.length === 1) {
      const { request, reply: only } = ready[0]!;
      this.#writeHeader(request, only);
      this.#sign(request, only.buffer.subarray(MESSAGE, BODY + only.length));
      this.#observe(request, only.buffer.subarray(MESSAGE, BODY + only.length));
      this.#send(only.buffer, BODY + only.length, only.release);
      return;
    }
    this.#flushCompound(ready);
  }

  #flushCompound(ready: readonly { request: Request; reply: Reply }[]): void {
    // Windows and Samba pad the last one too.
    const sizes = ready.map(({ reply: one }) => align(HEADER_SIZE + one.length, 8));
    const end = MESSAGE + sizes.reduce((sum, size) => sum + size, 0);
    const buffer = Buffer.allocUnsafe(end);
    let at = MESSAGE;
    ready.forEach(({ request, reply: one }, index) => {
      this.#writeHeader(request, one);
      const size = sizes[index]!;
      const used = one.buffer.copy(buffer, at, MESSAGE, BODY + one.length);
      buffer.fill(0, at + used, at + size);
      if (index < ready.length - 1) setNextCommand(buffer, at, size);
      this.#sign(request, buffer.subarray(at, at + size));
      one.release?.();
      at += size;
    });
    this.#send(buffer, end);
  }

  #send(buffer: Buffer, end: number, release?: () => void): void {
    this.connection.answer(this.requests, buffer, end, this.sealed?.sealer, release);
  }

  #writeHeader(request: Request, answer: Reply): void {
    const { header } = request;
    const credits = request.creditsGranted ? 0 : this.connection.grantFor(request);
    request.creditsGranted = true;
    const isFinalSigned = this.#signs(request, answer.status);
    encodeHeader(
      {
        creditCharge: header.creditCharge,
        status: answer.status,
        command: header.command,
        credits,
        flags:
          HeaderFlags.SERVER_TO_REDIR |
          (header.flags & (HeaderFlags.RELATED_OPERATIONS | HeaderFlags.PRIORITY_MASK)) |
          (isFinalSigned ? HeaderFlags.SIGNED : 0) |
          (request.asyncId === undefined ? 0 : HeaderFlags.ASYNC_COMMAND),
        messageId: header.messageId,
        asyncId: request.asyncId,
        treeId: request.treeOrUndefined?.id ?? header.treeId,
        sessionId: request.sessionOrUndefined?.id ?? header.sessionId,
      },
      answer.buffer,
      MESSAGE,
    );
  }

  #signs({ header, sessionOrUndefined: session }: Request, status: NtStatus): boolean {
    return signsReply({
      command: header.command,
      status,
      isSigned: (header.flags & HeaderFlags.SIGNED) !== 0,
      isSealed: this.sealed !== undefined,
      session,
    });
  }

  #sign(request: Request, message: Buffer): void {
    if ((message.readUInt32LE(16) & HeaderFlags.SIGNED) !== 0)
      request.sessionOrUndefined?.signer?.sign(message);
  }

  /** SESSION_SETUP and NEGOTIATE replies are part of the pre-authentication hash ([MS-SMB2] 3.3.5.4, 3.3.5.5). */
  #observe(request: Request, message: Buffer): void {
    if (this.connection.dialect !== Dialect.SMB_3_1_1) return;
    const { command } = request.header;
    if (command === Command.NEGOTIATE) this.connection.preauthHash?.update(message);
    else if (command === Command.SESSION_SETUP && message.readUInt32LE(8) !== Status.SUCCESS)
      request.sessionOrUndefined?.preauthHash?.update(message);
  }
}

/** An ERROR body; with 3.1.1 its data sits in an error context ([MS-SMB2] 2.2.2). */
export function errorReply(status: NtStatus, data?: Buffer, inContext = false): Reply {
  if (!data) return reply(errorResponse, { contextCount: 0, byteCount: 0 }, Buffer.alloc(1), status);
  const tail = inContext ? errorContext.toBuffer({ dataLength: data.length, errorId: 0 }, data) : data;
  return reply(errorResponse, { contextCount: inContext ? 1 : 0, byteCount: tail.length }, tail, status);
}

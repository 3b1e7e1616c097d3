/** The replies to one message: a single request or a compound chain ([MS-SMB2] 3.3.4.1.3). */
import type { Connection } from '../connection/connection.ts';
import type { RunningRequest } from '../connection/connection.ts';
import type { Setup } from '../connection/setup.ts';
import { randomId } from '../context/random-id.ts';
import { BODY, errorReply, MESSAGE } from '../context/reply.ts';
import type { Releasable, Reply } from '../context/reply.ts';
import type { Signer } from '../crypto/index.ts';
import { StatusError } from '../errors.ts';
import type { AnyOpen } from '../open/any-open.ts';
import { signsReply } from '../session/protection.ts';
import type { Session } from '../session/session.ts';
import type { TreeConnect } from '../session/tree.ts';
import { Command, Dialect, HeaderFlags, HEADER_SIZE } from '../wire/constants.ts';
import { encodeHeader, setNextCommand } from '../wire/header.ts';
import type { Header } from '../wire/header.ts';
import { Status } from '../wire/status.ts';
import type { NtStatus } from '../wire/status.ts';
import { align } from '../wire/struct.ts';

/** The parts of a request that its reply needs. */
export interface ChainedRequest extends RunningRequest {
  readonly header: Header;
  readonly packet: Buffer;
  asyncId: number | undefined;
  /** Whether an interim reply has granted the credits already. */
  creditsGranted: boolean;
  /** Signs the reply. Undefined without a key. */
  readonly signer: Signer | undefined;
  readonly setup: Setup | undefined;
}

interface Ready {
  readonly request: ChainedRequest;
  readonly reply: Reply;
}

export class Chain {
  readonly connection: Connection;
  readonly sealed: Session | undefined;
  requests: readonly ChainedRequest[] = [];
  /** Values that a related request takes from the request before it. */
  session: Session | undefined;
  tree: TreeConnect | undefined;
  open: AnyOpen | undefined;
  /** Why a related request has no open to use. */
  failure: NtStatus | undefined;
  #ready: Ready[] = [];

  constructor(connection: Connection, sealed: Session | undefined) {
    this.connection = connection;
    this.sealed = sealed;
  }

  /** Called for an unrelated request: later related requests must not use values from before it. */
  restart(): void {
    this.session = undefined;
    this.tree = undefined;
    this.open = undefined;
    this.failure = undefined;
  }

  add(request: ChainedRequest, answer: Reply): void {
    this.#ready.push({ request, reply: answer });
  }

  /** Sends an interim reply, which only the last request can have. Sends the replies to earlier requests first. */
  sendInterim(request: ChainedRequest): void {
    const { connection } = this;
    if (request.asyncId !== undefined || this.requests.at(-1) !== request || connection.closed) return;
    if (request.header.command === Command.CANCEL) return;
    if (connection.async.size >= connection.context.limits.maxAsyncPerConnection)
      throw new StatusError(Status.INSUFFICIENT_RESOURCES);
    this.flush();
    request.asyncId = randomId();
    connection.async.set(request.asyncId, request);
    const interim = errorReply(Status.PENDING);
    this.#writeHeader(request, interim);
    connection.send({ buffer: interim.buffer, end: BODY + interim.length, sealer: this.sealed?.sealer });
  }

  /** Sends the replies that are ready. */
  flush(): void {
    const ready = this.#ready;
    this.#ready = [];
    if (ready.length === 0) return;
    if (ready.length > 1) {
      this.#flushCompound(ready);
      return;
    }
    const { request, reply: only } = ready[0]!;
    const end = BODY + only.length;
    this.#writeHeader(request, only);
    this.#sign(request, only.buffer.subarray(MESSAGE, end));
    this.#observe(request, only.buffer.subarray(MESSAGE, end));
    this.#send(only.buffer, end, only.owner);
  }

  #flushCompound(ready: readonly Ready[]): void {
    // Windows and Samba pad the last reply as well.
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
      one.owner?.release();
      at += size;
    });
    this.#send(buffer, end);
  }

  #send(buffer: Buffer, end: number, owner?: Releasable): void {
    this.connection.answer(this.requests, {
      buffer,
      end,
      sealer: this.sealed?.sealer,
      owner,
    });
  }

  #writeHeader(request: ChainedRequest, answer: Reply): void {
    const { header } = request;
    const { gate } = this.connection;
    const credits = request.creditsGranted ? 0 : gate.grant(header.command, header.creditRequest);
    request.creditsGranted = true;
    encodeHeader(
      {
        creditCharge: header.creditCharge,
        status: answer.status,
        command: header.command,
        credits,
        flags:
          HeaderFlags.SERVER_TO_REDIR |
          (header.flags & (HeaderFlags.RELATED_OPERATIONS | HeaderFlags.PRIORITY_MASK)) |
          (this.#signs(request, answer.status) ? HeaderFlags.SIGNED : 0) |
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

  #signs({ header, sessionOrUndefined, signer }: ChainedRequest, status: NtStatus): boolean {
    return signsReply({
      command: header.command,
      status,
      isSigned: (header.flags & HeaderFlags.SIGNED) !== 0,
      isSealed: this.sealed !== undefined,
      hasKey: signer !== undefined,
      signingRequired: sessionOrUndefined?.signingRequired === true,
    });
  }

  #sign(request: ChainedRequest, message: Buffer): void {
    if ((message.readUInt32LE(16) & HeaderFlags.SIGNED) !== 0) request.signer?.sign(message);
  }

  /** SESSION_SETUP and NEGOTIATE replies are part of the pre-authentication hash ([MS-SMB2] 3.3.5.4, 3.3.5.5). */
  #observe(request: ChainedRequest, message: Buffer): void {
    const { negotiated } = this.connection;
    if (negotiated.dialect !== Dialect.SMB_3_1_1) return;
    const { command } = request.header;
    if (command === Command.NEGOTIATE) negotiated.preauthHash?.update(message);
    else if (command === Command.SESSION_SETUP && message.readUInt32LE(8) !== Status.SUCCESS)
      request.setup?.preauthHash?.update(message);
  }
}

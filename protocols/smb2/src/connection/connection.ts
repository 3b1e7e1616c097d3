import type { Socket } from 'node:net';
import type { ServerContext } from '../context/context.ts';
import { BODY, FRAME_HEADER, MESSAGE, TRANSFORM_HEADER } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Sealer } from '../crypto/index.ts';
import type { DrainedConnection } from '../drain/drain.ts';
import { Gate } from '../drain/gate.ts';
import type { Answer } from '../drain/gate.ts';
import type { AnsweredRequest } from '../drain/last-answers.ts';
import { MalformedError } from '../errors.ts';
import { MESSAGE_OVERHEAD } from '../limits.ts';
import type { AnyOpen } from '../open/any-open.ts';
import type { Session, SessionConnection, SessionRequest } from '../session/session.ts';
import { Transport } from '../transport/transport.ts';
import { Command, HeaderFlags } from '../wire/constants.ts';
import { encodeHeader, UNSOLICITED } from '../wire/header.ts';
import type { NtStatus } from '../wire/status.ts';
import { CreditWindow } from './credits.ts';
import { Negotiated } from './negotiated.ts';
import { ReadBudget } from './read-budget.ts';
import type { Setup } from './setup.ts';

/** A request whose handler has not answered yet. */
export interface RunningRequest extends SessionRequest {
  readonly openOrUndefined: AnyOpen | undefined;
  /** performance.now() */
  readonly started: number;
  readonly asyncId: number | undefined;
  /** Waits for something the client or its peers do, not for work in progress. */
  readonly waitsForEvents: boolean;
  /** How it ends when its open, tree or session goes. */
  readonly cleanupStatus: NtStatus;
  /** Goes on without its connection, while its session has others: its client asks again there. */
  readonly outlivesConnection: boolean;
  abandon(status: NtStatus): void;
  /** @throws StatusError when too many requests wait already. */
  goAsync(): void;
}

/** Who keeps the connections and what outlives them. */
export interface ConnectionOwner {
  received(connection: Connection, message: Buffer): void;
  suspendScans(connection: Connection): void;
  /** An authentication came to its end, one way or another. */
  setupEnded(setup: Setup): void;
  connectionClosed(connection: Connection): void;
}

/** A transport connection ([MS-SMB2] 3.3.1.7). */
export class Connection implements SessionConnection, DrainedConnection {
  readonly context: ServerContext;
  readonly negotiated = new Negotiated();
  readonly credits: CreditWindow;
  readonly gate: Gate;
  readonly reads: ReadBudget;
  readonly sessions = new Map<number, Session>();
  /** Authentications under way, by session id ([MS-SMB2] 3.3.1.7, PreauthSessionTable). */
  readonly setups = new Map<number, Setup>();
  /** Requests whose handler has not answered yet, by message id. */
  readonly running = new Map<number, RunningRequest>();
  /** Those of them that got an interim reply, by async id. */
  readonly async = new Map<number, RunningRequest>();
  readonly #owner: ConnectionOwner;
  readonly #transport: Transport;
  readonly #timer: NodeJS.Timeout;
  #scansSuspended = false;
  closed = false;

  constructor(context: ServerContext, socket: Socket, owner: ConnectionOwner) {
    const { limits } = context;
    this.context = context;
    this.#owner = owner;
    this.credits = new CreditWindow(limits.maxCredits);
    this.gate = new Gate(this.credits, limits.drainCredits, (answers) => this.#sendAll(answers));
    this.reads = new ReadBudget(limits.maxReadBytesInFlight);
    this.#transport = new Transport(socket, limits, {
      received: (message) => {
        if (!this.closed) owner.received(this, message);
      },
      failed: (error) => this.fail(error),
      ended: (reason) => this.close(reason),
      messageLimit: (length) => this.#messageLimit(length),
    });
    this.#timer = setTimeout(() => {
      if (!this.isAuthenticated) this.close('no authentication in time');
    }, limits.authenticationTimeoutMs);
    this.#timer.unref();
  }

  get address(): string {
    return this.#transport.address;
  }

  get port(): number {
    return this.#transport.port;
  }

  get receivedAt(): number {
    return this.#transport.receivedAt;
  }

  get paused(): boolean {
    return this.#transport.paused;
  }

  get isAuthenticated(): boolean {
    for (const session of this.sessions.values()) if (session.state === 'valid') return true;
    return false;
  }

  /** Whether it is connected to a share that can be written to. */
  get #mayWrite(): boolean {
    for (const { trees } of this.sessions.values())
      for (const { share } of trees.values()) if (share && !share.readOnly) return true;
    return false;
  }

  /** Nearly all messages are short: then nothing has to be looked for. */
  #messageLimit(length: number): number {
    const { limits } = this.context;
    if (length <= limits.maxUnauthenticatedMessage || !this.isAuthenticated)
      return limits.maxUnauthenticatedMessage;
    if (length <= limits.maxReaderMessage || !this.#mayWrite) return limits.maxReaderMessage;
    return Math.max(limits.maxWriteSize, limits.maxTransactSize) + MESSAGE_OVERHEAD;
  }

  /** A malformed message or a mistake of ours: either way the connection cannot go on. */
  fail(error: unknown): void {
    const { hooks } = this.context;
    if (error instanceof MalformedError) {
      hooks.malformed?.({ address: this.address, port: this.port, reason: error.message });
      this.close(`malformed: ${error.message}`);
      return;
    }
    hooks.bug?.(error, 'receiving a message');
    this.close('internal error');
  }

  /** Counts the memory of requests in progress. */
  hold(bytes: number): void {
    this.#transport.hold(bytes);
  }

  releaseHeld(bytes: number): void {
    this.#transport.release(bytes);
  }

  /**
   * Sends the message in `buffer[MESSAGE..end)`, sealed or not, as one frame.
   */
  send({ buffer, end, sealer, owner }: Answer): void {
    if (this.closed) {
      owner?.release();
      return;
    }
    if (sealer) {
      sealer.seal(buffer.subarray(FRAME_HEADER, end));
      buffer.writeUInt32BE(end - FRAME_HEADER, 0);
      this.#transport.send(buffer.subarray(0, end), owner);
    } else {
      buffer.writeUInt32BE(end - MESSAGE, TRANSFORM_HEADER);
      this.#transport.send(buffer.subarray(TRANSFORM_HEADER, end), owner);
    }
  }

  /** Sends an answer to `message`, unless it is kept for the end of the connection. */
  answer(message: readonly AnsweredRequest[], answer: Answer): void {
    if (this.closed || !this.gate.keeps(message, answer)) this.send(answer);
  }

  #sendAll(answers: readonly Answer[]): void {
    this.#transport.together(() => {
      for (const answer of answers) this.send(answer);
    });
  }

  sendNotification(body: Reply, sealer: Sealer | undefined): void {
    // The same body may go to several clients, and sealing happens in place.
    const buffer = Buffer.from(body.buffer);
    encodeHeader(
      {
        creditCharge: 0,
        status: 0,
        command: Command.OPLOCK_BREAK,
        credits: 0,
        flags: HeaderFlags.SERVER_TO_REDIR,
        messageId: UNSOLICITED,
        asyncId: undefined,
        treeId: 0,
        sessionId: 0,
      },
      buffer,
      MESSAGE,
    );
    this.send({ buffer, end: BODY + body.length, sealer });
  }

  /** Ends waiting requests without waiting for them. */
  abandonRequests(concerned: (request: RunningRequest) => boolean): void {
    for (const request of [...this.running.values()])
      if (concerned(request)) request.abandon(request.cleanupStatus);
  }

  /** Ends what takes too long: a frame that is not finished, an authentication that is not. */
  checkDeadlines(now: number): void {
    if (this.#transport.isOverdue(now)) this.close('a frame was not finished in time');
    for (const [id, { startedAt }] of this.setups)
      if (now - startedAt > this.context.limits.setupTimeoutMs) this.dropSetup(id);
  }

  /** Ends an authentication, and its session if it was the first one of it. */
  dropSetup(sessionId: number): void {
    const setup = this.setups.get(sessionId);
    if (!setup) return;
    this.setups.delete(sessionId);
    this.#owner.setupEnded(setup);
    const session = this.sessions.get(sessionId);
    if (session?.state === 'in-progress') session.close(false);
  }

  /** Interim replies for what has been running since before `before` ([MS-SMB2] 3.3.4.2). */
  sendInterims(before: number): void {
    for (const request of this.running.values()) {
      if (request.asyncId !== undefined || request.started > before) continue;
      try {
        request.goAsync();
      } catch {
        // Too many wait already: this one waits without the courtesy.
      }
    }
  }

  busySince(before: number): boolean {
    for (const { waitsForEvents, started } of this.running.values())
      if (!waitsForEvents && started < before) return true;
    return false;
  }

  isScanning(since: number): boolean {
    for (const session of this.sessions.values())
      for (const { enumeration } of session.opens.values())
        if (enumeration?.place && enumeration.askedAt > since) return true;
    return false;
  }

  /** Keeps where unfinished directory scans stand, for the client's next connection. */
  suspendScans(): void {
    if (this.#scansSuspended) return;
    this.#scansSuspended = true;
    this.#owner.suspendScans(this);
  }

  stopReading(): void {
    this.#transport.stopReading();
  }

  finish(): Promise<void> {
    if (this.closed) return Promise.resolve();
    return this.#transport.finish(
      () => {
        for (const answer of this.gate.takeLast()) this.send(answer);
      },
      () => this.close('server stops'),
    );
  }

  close(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.#timer);
    this.gate.forget();
    this.suspendScans();
    this.abandonRequests((request) => !request.outlivesConnection);
    for (const id of [...this.setups.keys()]) this.dropSetup(id);
    for (const session of [...this.sessions.values()]) session.connectionLost(this);
    this.#transport.destroy();
    this.#owner.connectionClosed(this);
    this.context.hooks.disconnected?.({ address: this.address, port: this.port, reason });
  }
}

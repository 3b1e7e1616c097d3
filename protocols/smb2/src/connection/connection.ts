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

/** A request whose handler is still running. */
export interface RunningRequest extends SessionRequest {
  readonly openOrUndefined: AnyOpen | undefined;
  /** performance.now() */
  readonly started: number;
  readonly asyncId: number | undefined;
  /** Whether it waits for an event (a change, a lock), not for work in progress. */
  readonly waitsForEvents: boolean;
  /** Whether its answer is withheld until the connection ends. */
  readonly isWithheld: boolean;
  /** Status when its open, tree connect or session ends. */
  readonly cleanupStatus: NtStatus;
  /** Whether it continues after its connection is lost while its session has others: the client repeats it there. */
  readonly outlivesConnection: boolean;
  abandon(status: NtStatus): void;
  /** @throws StatusError when too many requests are asynchronous already. */
  goAsync(): void;
}

/** Owns the connections and the state that outlives them. */
export interface ConnectionOwner {
  received(connection: Connection, message: Buffer): void;
  suspendScans(connection: Connection): void;
  /** An authentication has ended, with or without success. */
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
  /** Running authentications, by session id ([MS-SMB2] 3.3.1.7, PreauthSessionTable). */
  readonly setups = new Map<number, Setup>();
  /** Requests whose handler is still running, by message id. */
  readonly running = new Map<number, RunningRequest>();
  /** Running requests that got an interim reply, by async id. */
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

  /** Whether a tree connect of this connection leads to a writable share. */
  get #mayWrite(): boolean {
    for (const { trees } of this.sessions.values())
      for (const { share } of trees.values()) if (share && !share.readOnly) return true;
    return false;
  }

  /** Longest message to accept, in bytes. Nearly all messages are short, so the common case checks no session. */
  #messageLimit(length: number): number {
    const { limits } = this.context;
    if (length <= limits.maxUnauthenticatedMessage || !this.isAuthenticated)
      return limits.maxUnauthenticatedMessage;
    if (length <= limits.maxReaderMessage || !this.#mayWrite) return limits.maxReaderMessage;
    return Math.max(limits.maxWriteSize, limits.maxTransactSize) + MESSAGE_OVERHEAD;
  }

  /** A malformed message or an internal error: the connection cannot continue. */
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

  /** Counts memory that running requests hold. */
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

  /** Sends the answer to `message`, unless the gate keeps it for the end of the connection. */
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

  /** Ends matching requests without waiting for them. */
  abandonRequests(concerned: (request: RunningRequest) => boolean): void {
    for (const request of [...this.running.values()])
      if (concerned(request)) request.abandon(request.cleanupStatus);
  }

  /** Ends what takes too long: closes the connection on an unfinished frame, drops unfinished authentications. */
  checkDeadlines(now: number): void {
    if (this.#transport.isOverdue(now)) this.close('a frame was not finished in time');
    for (const [id, { startedAt }] of this.setups)
      if (now - startedAt > this.context.limits.setupTimeoutMs) this.dropSetup(id);
  }

  /** Ends an authentication. If it was the first one of its session, ends the session too. */
  dropSetup(sessionId: number): void {
    const setup = this.setups.get(sessionId);
    if (!setup) return;
    this.setups.delete(sessionId);
    this.#owner.setupEnded(setup);
    const session = this.sessions.get(sessionId);
    if (session?.state === 'in-progress') session.close(false);
  }

  /** Sends interim replies for requests that started before `before` ([MS-SMB2] 3.3.4.2). */
  sendInterims(before: number): void {
    for (const request of this.running.values()) {
      if (request.asyncId !== undefined || request.started > before) continue;
      try {
        request.goAsync();
      } catch {
        // Too many requests are asynchronous already: this one waits without an interim reply.
      }
    }
  }

  busySince(before: number): boolean {
    for (const { waitsForEvents, started } of this.running.values())
      if (!waitsForEvents && started < before) return true;
    return false;
  }

  #tellUnanswered(): void {
    let requests = 0;
    for (const { waitsForEvents, isWithheld } of this.running.values())
      if (!waitsForEvents || isWithheld) requests += 1;
    if (requests > 0) this.context.hooks.unanswered?.({ address: this.address, port: this.port, requests });
  }

  isScanning(since: number): boolean {
    for (const session of this.sessions.values())
      for (const { enumeration } of session.opens.values())
        if (enumeration?.place && enumeration.askedAt > since) return true;
    return false;
  }

  /** Saves the positions of unfinished directory scans, so that the client can continue on its next connection. */
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
    this.#tellUnanswered();
    this.suspendScans();
    this.abandonRequests((request) => !request.outlivesConnection);
    for (const id of [...this.setups.keys()]) this.dropSetup(id);
    for (const session of [...this.sessions.values()]) session.connectionLost(this);
    this.#transport.destroy();
    this.#owner.connectionClosed(this);
    this.context.hooks.disconnected?.({ address: this.address, port: this.port, reason });
  }
}

import type { Socket } from 'node:net';
import type { CipherName, PreauthHash, Sealer, SigningAlgorithm } from '../crypto/index.ts';
import { MalformedError } from '../errors.ts';
import { MESSAGE_OVERHEAD } from '../limits.ts';
import { Framer } from '../transport/framer.ts';
import { Outbox } from '../transport/outbox.ts';
import { Command, HeaderFlags } from '../wire/constants.ts';
import type { Dialect } from '../wire/constants.ts';
import { encodeHeader, UNSOLICITED } from '../wire/header.ts';
import { CreditWindow } from './credits.ts';
import { fateOfAnswer, lastOrder } from './last-answers.ts';
import type { KeptAnswer, Stopping } from './last-answers.ts';
import { ReadBudget } from './read-budget.ts';
import { BODY, FRAME_HEADER, TRANSFORM_HEADER } from './reply.ts';
import type { Reply } from './reply.ts';
import type { Request } from './request.ts';
import type { ServerState } from './server-state.ts';
import type { Session } from './session.ts';

const MESSAGE = FRAME_HEADER + TRANSFORM_HEADER;
/** How long the peer may take to answer our FIN with its own. */
const LINGER_MS = 1000;

const isRead = ([first]: readonly Request[]): boolean => first?.header.command === Command.READ;

/** A transport connection ([MS-SMB2] 3.3.1.7). */
export class Connection {
  readonly server: ServerState;
  readonly address: string;
  readonly port: number;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #timer: NodeJS.Timeout;
  #requestBytes = 0;
  #paused = false;
  #draining = false;
  #ending = false;
  #stopping: Stopping = 'nobody';
  /** When READs last got no credits (performance.now()); undefined while they do get some. */
  #withheldAt: number | undefined;
  #kept: KeptAnswer[] = [];
  /** When bytes last came from the client (performance.now()). */
  receivedAt = performance.now();
  /** Where its directory scans stand has been given away: nothing of them may be answered any more. */
  #scansSuspended = false;
  closed = false;

  /** Set by NEGOTIATE. */
  dialect: Dialect | undefined;
  /** An SMB1 NEGOTIATE was answered with the wildcard dialect; an SMB2 one has to follow. */
  wildcardNegotiated = false;
  clientGuid: Buffer = Buffer.alloc(16);
  clientCapabilities = 0;
  clientSecurityMode = 0;
  clientDialects: readonly number[] = [];
  capabilities = 0;
  securityMode = 0;
  preauthHash: PreauthHash | undefined;
  cipher: CipherName | undefined;
  signingAlgorithm: SigningAlgorithm = 'hmac-sha256';
  /** POSIX extensions were agreed on. */
  posix = false;

  readonly credits: CreditWindow;
  readonly sessions = new Map<number, Session>();
  /** Requests whose handler has not answered yet, by message id. */
  readonly running = new Map<number, Request>();
  /** Those of them that got an interim reply, by async id. */
  readonly async = new Map<number, Request>();
  readonly reads: ReadBudget;

  constructor(
    server: ServerState,
    socket: Socket,
    receive: (connection: Connection, message: Buffer) => void,
  ) {
    this.server = server;
    this.#socket = socket;
    this.address = (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '');
    this.port = socket.remotePort ?? 0;
    this.credits = new CreditWindow(server.limits.maxCredits);
    this.reads = new ReadBudget(server.limits.maxReadBytesInFlight);
    this.#outbox = new Outbox(socket, server.limits.sendTimeoutMs, () =>
      this.close('the client stopped reading'),
    );
    const framer = new Framer(
      (message) => {
        if (!this.closed) receive(this, message);
      },
      () => this.#messageLimit(),
    );
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.receivedAt = performance.now();
      try {
        framer.push(chunk);
      } catch (error) {
        this.fail(error);
      }
      this.#regulate();
    });
    socket.on('drain', () => this.#regulate());
    socket.on('error', (error) => this.close(error.message));
    socket.on('close', () => this.close('closed by the client'));
    socket.on('end', () => this.close('closed by the client'));
    this.#timer = setTimeout(() => {
      if (![...this.sessions.values()].some((session) => session.state === 'valid'))
        this.close('no authentication in time');
    }, server.limits.authenticationTimeoutMs);
    this.#timer.unref();
  }

  #messageLimit(): number {
    const { limits } = this.server;
    for (const session of this.sessions.values())
      if (session.state === 'valid')
        return Math.max(limits.maxWriteSize, limits.maxTransactSize) + MESSAGE_OVERHEAD;
    return limits.maxUnauthenticatedMessage;
  }

  /** A malformed message or a mistake of ours: either way the connection cannot go on. */
  fail(error: unknown): void {
    if (error instanceof MalformedError) {
      this.server.hooks.malformed?.({ address: this.address, port: this.port, reason: error.message });
      this.close(`malformed: ${error.message}`);
      return;
    }
    this.server.hooks.bug?.(error, 'receiving a message');
    this.close('internal error');
  }

  /** Counts the memory of requests in progress. */
  hold(bytes: number): void {
    this.#requestBytes += bytes;
  }

  releaseHeld(bytes: number): void {
    this.#requestBytes -= bytes;
    if (this.#paused) this.#regulate();
  }

  /** Stops reading while the client has too much in progress or takes too little of what it asked for. */
  #regulate(): void {
    const { limits } = this.server;
    const full =
      this.#draining ||
      this.#requestBytes > limits.maxRequestBytesInFlight ||
      this.#outbox.unsent > limits.maxUnsent;
    if (full === this.#paused || this.closed) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }

  /**
   * Sends the message in `buffer[MESSAGE..end)`, sealed or not, as one frame.
   * @param release called when the buffer may be reused.
   */
  send(buffer: Buffer, end: number, sealer: Sealer | undefined, release?: () => void): void {
    if (this.closed) {
      release?.();
      return;
    }
    if (sealer) {
      sealer.seal(buffer.subarray(FRAME_HEADER, end));
      buffer.writeUInt32BE(end - FRAME_HEADER, 0);
      this.#outbox.send(buffer.subarray(0, end), release);
    } else {
      buffer.writeUInt32BE(end - MESSAGE, TRANSFORM_HEADER);
      this.#outbox.send(buffer.subarray(TRANSFORM_HEADER, end), release);
    }
  }

  /** Sends an answer to `message`, or keeps it for the end of the connection. As {@link send} otherwise. */
  answer(
    message: readonly Request[],
    buffer: Buffer,
    end: number,
    sealer: Sealer | undefined,
    release?: () => void,
  ): void {
    const fate = this.closed ? 'send' : fateOfAnswer(message, this.#stopping);
    if (fate === 'send') this.send(buffer, end, sealer, release);
    else this.#kept.push({ buffer, end, sealer, release, fate, isRead: isRead(message) });
  }

  #sendKept(answers: readonly KeptAnswer[]): void {
    this.#kept = [];
    this.#socket.cork();
    for (const { buffer, end, sealer, release } of answers) this.send(buffer, end, sealer, release);
    this.#socket.uncork();
  }

  /** An OPLOCK_BREAK notification ([MS-SMB2] 3.3.4.6, 3.3.4.7): never signed. */
  sendNotification(body: Reply, sealer: Sealer | undefined): void {
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
      body.buffer,
      MESSAGE,
    );
    // The same body may go to several clients, and sealing happens in place.
    this.send(Buffer.from(body.buffer), BODY + body.length, sealer);
  }

  /** Ends waiting requests without waiting for them. */
  abandonRequests(concerned: (request: Request) => boolean): void {
    for (const request of [...this.running.values()])
      if (concerned(request)) request.abandon(request.cleanupStatus);
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

  get busy(): boolean {
    return this.busySince(Infinity);
  }

  /** Whether something is worked on that came before `before` (performance.now()). */
  busySince(before: number): boolean {
    return [...this.running.values()].some(
      ({ waitsForEvents, started }) => !waitsForEvents && started < before,
    );
  }

  /** Whether bytes that have come are left unread for now. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Its end is near. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Its end is near, but everybody is served as ever, or again. */
  goOn(): void {
    this.#ending = true;
    this.#stopping = 'nobody';
    this.#withheldAt = undefined;
    this.credits.forgetFew();
    this.#sendKept(this.#kept);
  }

  /** Stops whoever comes to the end of a directory scan. */
  stopScanners(): void {
    this.#stopping = 'scans';
  }

  /** Lets streams run out of credits; before others lack them too, everybody is stopped. */
  withholdFromReads(): void {
    this.#withheldAt = performance.now();
    this.credits.whenFew(this.server.limits.drainCredits, () => this.stopAll());
  }

  /** Stops whoever is not in the middle of a directory scan. */
  stopAll(): void {
    this.#stopping = 'all';
  }

  /** Whether READs have gone without credits since `since` (performance.now()). */
  withheldSince(since: number): boolean {
    return this.#withheldAt !== undefined && this.#withheldAt > since;
  }

  get allStopped(): boolean {
    return this.#stopping === 'all';
  }

  /** Credits for the reply to `request` ([MS-SMB2] 3.3.1.2). */
  grantFor({ header }: Request): number {
    if (this.#withheldAt !== undefined && header.command === Command.READ) {
      this.#withheldAt = performance.now();
      return 0;
    }
    return this.credits.grant(Math.max(1, header.creditRequest));
  }

  /** Keeps where unfinished directory scans stand, for the client's next connection. */
  suspendScans(): void {
    if (this.#scansSuspended) return;
    this.#scansSuspended = true;
    this.server.scans.suspend(this);
  }

  /** Stops reading for good; what was read is finished. */
  stopReading(): void {
    this.#draining = true;
    this.#regulate();
  }

  /**
   * Sends what was kept, then FIN, and waits a second for the peer's. What still comes is taken off the socket unseen: closing
   * over unread bytes would send a reset, which may overtake the answers.
   */
  finish(): Promise<void> {
    return new Promise((resolve) => {
      if (this.closed || this.#socket.destroyed) {
        resolve();
        return;
      }
      this.#socket.once('close', () => resolve());
      this.#socket.removeAllListeners('data');
      for (const { fate, release } of this.#kept) if (fate === 'drop') release?.();
      this.#sendKept(lastOrder(this.#kept));
      this.#socket.end(() => setTimeout(() => this.close('server stops'), LINGER_MS).unref());
      this.#socket.resume();
    });
  }

  close(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.#timer);
    this.#outbox.close();
    for (const { release } of this.#kept.splice(0)) release?.();
    this.suspendScans();
    this.abandonRequests(() => true);
    for (const session of [...this.sessions.values()]) session.close(true);
    this.#socket.destroy();
    this.server.connections.delete(this);
    this.server.hooks.disconnected?.({ address: this.address, port: this.port, reason });
  }
}

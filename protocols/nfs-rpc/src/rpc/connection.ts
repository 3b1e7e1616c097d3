import type { Socket } from 'node:net';

import type { Awaitable } from '../backend.ts';
import type { CloseReason } from '../hooks.ts';
import { MalformedError } from '../xdr/error.ts';
import { XdrReader } from '../xdr/reader.ts';
import { type CallLink, RpcCall } from './call.ts';
import type { Peer } from './context.ts';
import { answerRetransmission, invoke, refuse, reportFinished, type TransportHost } from './invoke.ts';
import { ReplyQueue } from './output.ts';
import type { SlabPool } from './pool.ts';
import { CredentialReader, readCallHeader, RejectedCall, rejection, type Target } from './program.ts';
import { type Record, RecordReader } from './record.ts';
import type { ReplyWriter } from './reply.ts';
import { Reservations } from './reservations.ts';

/** A reply of at least this many bytes is written at once, in its own system call. */
const LARGE_REPLY = 32 * 1024;
/** Greater than any index of the program table. xid * INDEX_RANGE stays below 2^53, so keys are exact. */
const INDEX_RANGE = 0x10_0000;

export interface ConnectionHost extends TransportHost {
  /** The connection has sent its first call. */
  spoke(connection: Connection): void;
  closed(connection: Connection, reason: CloseReason): void;
  /** The connection waits for memory. The host calls `wake` when some is free. */
  starved(connection: Connection): void;
  memoryFreed(): void;
}

/**
 * One TCP connection (RFC 5531 §11). Calls run concurrently, and replies go out in the order in which they become
 * ready. Stops reading while too much is in flight.
 */
export class Connection implements CallLink {
  readonly peer: Peer;
  readonly pool: SlabPool;
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #records: RecordReader;
  readonly #reader = new XdrReader(Buffer.alloc(0));
  readonly #credentials = new CredentialReader();
  readonly #output: ReplyQueue;
  readonly #reservations: Reservations;
  /** Calls whose procedure has not finished yet, by xid and procedure. */
  readonly #running = new Map<number, RpcCall>();
  /** How many of them were answered early: their results will be dropped. */
  #answeredEarly = 0;
  #requestBytes = 0;
  #pumping = false;
  #paused = false;
  #peerEnded = false;
  #closing = false;
  #recordSince = 0;
  #hasSpoken = false;
  #reason: CloseReason | undefined;

  constructor(socket: Socket, peer: Peer, host: ConnectionHost) {
    this.peer = peer;
    this.pool = host.pool;
    this.#socket = socket;
    this.#host = host;
    const { limits, totals } = host;
    this.#records = new RecordReader(limits.maxRecordBytes, limits.maxFragments);
    this.#output = new ReplyQueue(socket, limits.writeBatchBytes, (replies) => this.#onSent(replies));
    this.#reservations = new Reservations(
      totals,
      (bytes, used) =>
        used + bytes <= limits.maxReplyBytes &&
        totals.replyBytes + bytes <= limits.maxTotalReplyBytes &&
        this.#output.bytes <= limits.maxUnsentBytes,
    );
    // A peer that has sent its FIN still gets its replies.
    socket.allowHalfOpen = true;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, limits.keepAliveMs);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.#onPeerEnd());
    socket.on('error', () => (this.#reason ??= 'reset'));
    socket.on('close', () => this.#onClose());
  }

  reserve(call: RpcCall, bytes: number): Awaitable<void> {
    const granted = this.#reservations.take(call, bytes);
    if (granted !== undefined) this.#host.starved(this);
    return granted;
  }

  cancelReservation(call: RpcCall): void {
    this.#reservations.cancel(call);
    this.#host.memoryFreed();
  }

  bug(error: unknown, where: string): void {
    this.#host.hooks.bug?.(error, where);
  }

  /** Checks the timeouts; called periodically. */
  sweep(now: number): void {
    const { recordTimeoutMs, stalledWriteMs } = this.#host.limits;
    if (this.#output.stalledMs(now) > stalledWriteMs) this.destroy('peer does not read');
    else if (this.#recordSince > 0 && now - this.#recordSince > recordTimeoutMs)
      this.destroy('record timeout');
  }

  /** Makes room when a connection waits for memory, or this one for a free call: slow calls step aside. */
  giveWay(now: number): void {
    const { slowCallMs, maxSlowReplyBytes } = this.#host.limits;
    this.#reservations.setAsideSlow(now - slowCallMs, maxSlowReplyBytes);
    if (this.#calls >= this.#host.limits.maxCalls) this.#answerOldest(now - slowCallMs);
  }

  /**
   * When every call slot of the connection is taken, answers slow calls early: those started before `since` whose
   * backend has set `onRetransmission`. At most `maxCalls` answered calls may keep running.
   */
  #answerOldest(since: number): void {
    const { maxCalls } = this.#host.limits;
    let wanted = Math.min(Math.ceil(maxCalls / 2), maxCalls - this.#answeredEarly);
    for (const call of this.#running.values()) {
      if (wanted <= 0 || call.startedAt > since) break;
      if (!call.answered && this.#answerNow(call)) wanted -= 1;
    }
    this.#output.flush();
  }

  /** The server has free memory again. */
  wake(): void {
    this.#reservations.admit();
    if (this.#reservations.waiting > 0) this.#host.starved(this);
    this.#pump();
  }

  /** Stops reading, finishes all calls that were read, flushes and sends FIN. */
  drain(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#reason ??= 'server closed';
    this.#recordSince = 0;
    this.#socket.pause();
    this.#endIfDone();
  }

  destroy(reason: CloseReason): void {
    this.#reason ??= reason;
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    // Once FIN is planned, input is read and discarded: closing a socket with unread bytes would send a reset.
    if (this.#closing || this.#socket.destroyed) return;
    this.#records.push(chunk);
    this.#pump();
  }

  #pump(): void {
    if (this.#pumping || this.#closing || this.#socket.destroyed) return;
    this.#pumping = true;
    try {
      while (this.#mayStart()) {
        const record = this.#records.next();
        if (record === undefined) break;
        // The next record has its whole time, even if its first bytes came with this one.
        this.#recordSince = 0;
        this.#start(record);
      }
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#host.hooks.malformed?.(this.peer, error.message);
      this.destroy('malformed');
    } finally {
      this.#pumping = false;
    }
    this.#output.flush();
    this.#settleReading();
  }

  /** Calls that a client still waits for. */
  get #calls(): number {
    return this.#running.size - this.#answeredEarly + this.#output.length;
  }

  #mayStart(): boolean {
    const calls = this.#calls;
    if (calls === 0) return true;
    const { limits, totals } = this.#host;
    return (
      calls < limits.maxCalls &&
      this.#requestBytes < limits.maxRequestBytes &&
      totals.requestBytes < limits.maxTotalRequestBytes
    );
  }

  /** Pauses or resumes the socket, and starts or stops the timeout of a partial record. */
  #settleReading(): void {
    if (this.#closing || this.#socket.destroyed) return;
    const full = this.#records.hasInput || !this.#mayStart();
    if (full !== this.#paused) {
      this.#paused = full;
      if (full) this.#socket.pause();
      else this.#socket.resume();
    }
    if (full) this.#host.starved(this);
    if (full || !this.#records.partial) this.#recordSince = 0;
    else if (this.#recordSince === 0) this.#recordSince = performance.now();
    if (this.#peerEnded) this.#endIfDone();
  }

  #start(record: Record): void {
    const size = record.end - record.start;
    // An empty record is no call.
    if (size === 0) return;
    this.#reader.reset(record.buffer, record.start, record.end);
    const header = readCallHeader(this.#reader);
    if (!this.#hasSpoken) {
      this.#hasSpoken = true;
      this.#host.spoke(this);
    }
    const target = this.#host.table.find(header);
    const credential = this.#credentials.read(header);
    if (target instanceof RejectedCall || credential instanceof RejectedCall) {
      this.#output.push(refuse(this.#host, this.peer, header, rejection(target, credential), size));
      return;
    }
    const key = header.xid * INDEX_RANGE + target.index;
    const earlier = this.#running.get(key);
    if (earlier !== undefined) {
      this.#retransmitted(earlier);
      return;
    }
    const call = new RpcCall(this, header.xid, credential, target.program, target.procedure.name, size);
    this.#run(call, target, key);
  }

  #run(call: RpcCall, target: Target, key: number): void {
    const outcome = invoke(this.#host, target.procedure, this.#reader, call);
    if (!(outcome instanceof Promise)) {
      this.#finish(call, outcome);
      return;
    }
    this.#running.set(key, call);
    this.#requestBytes += call.bytesIn;
    this.#host.totals.requestBytes += call.bytesIn;
    void outcome.then((reply) => {
      this.#running.delete(key);
      if (call.answered) this.#answeredEarly -= 1;
      this.#requestBytes -= call.bytesIn;
      this.#host.totals.requestBytes -= call.bytesIn;
      this.#finish(call, reply);
      if (this.#pumping) return;
      if (this.#running.size === 0 || reply.size >= LARGE_REPLY) this.#output.flush();
      else this.#output.schedule();
      if (this.#paused) this.#pump();
      this.#endIfDone();
    });
  }

  #finish(call: RpcCall, reply: ReplyWriter): void {
    this.#reservations.settle(call);
    reply.charge = call.reserved;
    if (call.answered || this.#socket.destroyed) {
      this.#reservations.give(reply.charge);
      reply.release();
      this.#host.memoryFreed();
      return;
    }
    reportFinished(this.#host, call, reply);
    this.#output.push(reply);
  }

  #retransmitted(call: RpcCall): void {
    const answered = this.#answerNow(call);
    this.#host.hooks.retransmission?.(this.peer, call.program, call.procedure, answered);
  }

  /** Answers a running call early, if its backend has set `onRetransmission`. */
  #answerNow(call: RpcCall): boolean {
    const reply = answerRetransmission(this.#host, call);
    if (reply === undefined) return false;
    this.#answeredEarly += 1;
    call.answerEarly();
    reportFinished(this.#host, call, reply);
    this.#output.push(reply);
    return true;
  }

  #onSent(replies: readonly ReplyWriter[]): void {
    let freed = 0;
    for (const reply of replies) freed += reply.charge;
    if (freed > 0) this.#reservations.give(freed);
    this.#reservations.admit();
    this.#host.memoryFreed();
    if (this.#paused) this.#pump();
    this.#endIfDone();
  }

  #onPeerEnd(): void {
    this.#peerEnded = true;
    this.#endIfDone();
  }

  /** Sends FIN once no reply is outstanding on this connection. */
  #endIfDone(): void {
    if (!this.#closing && !(this.#peerEnded && !this.#records.hasInput)) return;
    if (this.#calls > 0 || this.#socket.writableEnded) return;
    this.#reason ??= 'ended';
    this.#socket.end();
    this.#socket.resume();
  }

  #onClose(): void {
    const unanswered = this.#calls;
    if (unanswered > 0) this.#host.hooks.unanswered?.(this.peer, unanswered);
    for (const call of this.#running.values()) call.abandon();
    this.#reservations.rejectAll(new Error('connection closed'));
    this.#output.clear();
    this.#host.closed(this, this.#reason ?? 'ended');
    this.#host.memoryFreed();
  }
}

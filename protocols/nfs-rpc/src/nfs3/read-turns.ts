import { type Awaitable, type NfsBackend, NfsError } from '../backend.ts';
import { FIRST_READS_PER_FILE, LONGEST_TURN_WAIT, MAX_READS_PER_FILE } from '../limits.ts';
import type { RpcCall } from '../rpc/call.ts';
import { NfsStatus } from '../status.ts';

/** How many READs of one file the backend has at once: at first, and at most. */
export interface ReadsPerFile {
  readonly first: number;
  readonly most: number;
}

const defaults: ReadsPerFile = { first: FIRST_READS_PER_FILE, most: MAX_READS_PER_FILE };

interface Waiter {
  readonly since: number;
  readonly go: () => void;
  readonly fail: (error: Error) => void;
}

/** The READs of one file. */
interface FileReads {
  running: number;
  allowed: number;
  readonly queue: Set<Waiter>;
}

const comeAgain = (): never => {
  throw new NfsError(NfsStatus.JUKEBOX);
};

/**
 * Whose turn it is to read. A file that hangs would otherwise take all memory of a connection: each READ that the backend
 * has holds a buffer. So the backend has a few READs of a file at a time, and one more after each answer. The others
 * wait here, as call records of some hundred bytes.
 */
export class ReadTurns<N> {
  readonly #backend: NfsBackend<N>;
  readonly #perFile: ReadsPerFile;
  readonly #files = new Map<N, FileReads>();
  #sweeper: NodeJS.Timeout | undefined;

  constructor(backend: NfsBackend<N>, perFile: ReadsPerFile = defaults) {
    this.#backend = backend;
    this.#perFile = perFile;
  }

  /** Does the work with memory for `bytes`, once both can be had. */
  take<T>(node: N, call: RpcCall, bytes: number, work: () => Awaitable<T>): Awaitable<T> {
    const file = this.#file(node);
    if (file.running >= file.allowed)
      return this.#queue(node, file, call).then(() => this.#useTurn(node, file, call, bytes, work));
    file.running += 1;
    return this.#useTurn(node, file, call, bytes, work);
  }

  /** The turn is this call's already. */
  #useTurn<T>(
    node: N,
    file: FileReads,
    call: RpcCall,
    bytes: number,
    work: () => Awaitable<T>,
  ): Awaitable<T> {
    if (call.abandoned || call.answered) {
      this.#leave(node, file);
      throw new NfsError(NfsStatus.JUKEBOX);
    }
    const granted = call.reserve(bytes);
    if (granted === undefined) return this.#run(node, file, work);
    // It waits for memory of its own connection, which must not hold up the readers of others.
    this.#leave(node, file);
    return granted.then(() => {
      const now = this.#file(node);
      if (now.running < now.allowed) {
        now.running += 1;
        return this.#run(node, now, work);
      }
      call.cancelReservation();
      return this.take(node, call, bytes, work);
    });
  }

  #run<T>(node: N, file: FileReads, work: () => Awaitable<T>): Awaitable<T> {
    let outcome: Awaitable<T>;
    try {
      outcome = work();
    } catch (error) {
      this.#leave(node, file);
      throw error;
    }
    if (!(outcome instanceof Promise)) {
      this.#leave(node, file);
      return outcome;
    }
    return outcome.then(
      (result) => {
        file.allowed = Math.min(file.allowed + 1, this.#perFile.most);
        this.#leave(node, file);
        return result;
      },
      (error: unknown) => {
        this.#leave(node, file);
        throw error;
      },
    );
  }

  #file(node: N): FileReads {
    let file = this.#files.get(node);
    if (!file) {
      file = { running: 0, allowed: this.#perFile.first, queue: new Set() };
      this.#files.set(node, file);
    }
    return file;
  }

  /** Ends a turn, and gives the free ones to those who have waited longest. */
  #leave(node: N, file: FileReads): void {
    file.running -= 1;
    for (const waiter of file.queue) {
      if (file.running >= file.allowed) return;
      file.queue.delete(waiter);
      file.running += 1;
      waiter.go();
    }
    if (file.running === 0) this.#files.delete(node);
  }

  /** Resolves with the turn. */
  #queue(node: N, { queue }: FileReads, call: RpcCall): Promise<void> {
    const waitsNoLonger = this.#backend.readWaits?.(node, call);
    return new Promise((resolve, reject) => {
      const go = (): void => {
        call.onRetransmission = undefined;
        waitsNoLonger?.();
        resolve();
      };
      const fail = (error: Error): void => {
        waitsNoLonger?.();
        reject(error);
      };
      const waiter: Waiter = { since: performance.now(), go, fail };
      queue.add(waiter);
      call.onRetransmission = comeAgain;
      call.onGivenUp = () => {
        if (queue.delete(waiter)) fail(new NfsError(NfsStatus.JUKEBOX));
      };
      this.#sweeper ??= setInterval(() => this.#sweep(performance.now()), LONGEST_TURN_WAIT / 20).unref();
    });
  }

  /** Who has waited for long is told to come again; the queues are in the order in which they came. */
  #sweep(now: number): void {
    let waiting = 0;
    for (const { queue } of this.#files.values()) {
      for (const waiter of queue) {
        if (now - waiter.since < LONGEST_TURN_WAIT) break;
        queue.delete(waiter);
        waiter.fail(new NfsError(NfsStatus.JUKEBOX));
      }
      waiting += queue.size;
    }
    if (waiting > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }
}

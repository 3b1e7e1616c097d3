import { type Awaitable, type NfsBackend, NfsError } from '../backend.ts';
import { FIRST_READS_PER_FILE, LONGEST_TURN_WAIT, MAX_READS_PER_FILE } from '../limits.ts';
import type { RpcCall } from '../rpc/call.ts';
import { NfsStatus } from '../status.ts';

/** Limits on the READs of one file that the backend gets at once: the first limit, and the highest. */
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

/** The running and waiting READs of one file. */
interface FileReads {
  running: number;
  allowed: number;
  readonly queue: Set<Waiter>;
}

const throwJukebox = (): never => {
  throw new NfsError(NfsStatus.JUKEBOX);
};

/**
 * Limits how many READs of one file the backend gets at once. Each of them holds a reply buffer, so a file that hangs
 * would otherwise take all memory of a connection. Each successful READ raises the limit by one. READs beyond the limit
 * wait here as call records of some hundred bytes.
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

  /** Runs `work` once the file has a free turn and `bytes` of reply memory are reserved. */
  take<T>(node: N, call: RpcCall, bytes: number, work: () => Awaitable<T>): Awaitable<T> {
    const file = this.#file(node);
    if (file.running >= file.allowed)
      return this.#queue(node, file, call).then(() => this.#useTurn(node, file, call, bytes, work));
    file.running += 1;
    return this.#useTurn(node, file, call, bytes, work);
  }

  /** Called with a turn taken. Gives the turn back when the call no longer needs it. */
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
    // This call waits for memory of its own connection. Give the turn back, so that READs from other connections can
    // use it.
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

  /** Ends a turn and passes free turns to the READs that have waited longest. */
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

  /** Resolves when the call has its turn. */
  #queue(node: N, { queue }: FileReads, call: RpcCall): Promise<void> {
    const waitEnded = this.#backend.readWaits?.(node, call);
    return new Promise((resolve, reject) => {
      const go = (): void => {
        call.onRetransmission = undefined;
        waitEnded?.();
        resolve();
      };
      const fail = (error: Error): void => {
        waitEnded?.();
        reject(error);
      };
      const waiter: Waiter = { since: performance.now(), go, fail };
      queue.add(waiter);
      call.onRetransmission = throwJukebox;
      call.onGivenUp = () => {
        if (queue.delete(waiter)) fail(new NfsError(NfsStatus.JUKEBOX));
      };
      this.#sweeper ??= setInterval(() => this.#sweep(performance.now()), LONGEST_TURN_WAIT / 20).unref();
    });
  }

  /** Answers READs that have waited too long with JUKEBOX. Each queue is in order of arrival, so the oldest comes first. */
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

/** Changes collected for the CHANGE_NOTIFY requests of one open ([MS-SMB2] 3.3.5.19, [MS-FSA] 2.1.5.10). */
import type { ChangeEvent } from '../backend.ts';
import { NotifyFilter } from '../wire/constants.ts';
import { encodeNotify } from '../wire/fscc/notify.ts';
import type { NotifyEntry } from '../wire/fscc/notify.ts';
import { Status } from '../wire/status.ts';
import type { NtStatus } from '../wire/status.ts';
import { toPosixWireName, toWireName } from '../names/characters.ts';
import type { Node } from '../share/volume.ts';
import type { DirectoryView } from './directory-view.ts';

export interface NotifyResult {
  readonly status: NtStatus;
  readonly data: Buffer;
}

interface Waiting {
  readonly most: number;
  readonly finish: (result: NotifyResult) => void;
}

const NAMES = NotifyFilter.FILE_NAME | NotifyFilter.DIR_NAME;
const MODIFIED =
  NotifyFilter.ATTRIBUTES |
  NotifyFilter.SIZE |
  NotifyFilter.LAST_WRITE |
  NotifyFilter.CREATION |
  NotifyFilter.EA;

export class NotifyQueue {
  readonly #open: DirectoryView;
  readonly #most: number;
  readonly #filter: number;
  /** The buffer size of the first request limits all results of the open. */
  readonly #largest: number;
  readonly #unwatch: () => void;
  readonly #waiting: Waiting[] = [];
  #events: NotifyEntry[] = [];
  /** Changes were dropped: the client must list the directory again. */
  #overflowed = false;
  #ended: NtStatus | undefined;
  #scheduled = false;

  constructor(
    open: DirectoryView,
    request: { readonly filter: number; readonly recursive: boolean; readonly outputSize: number },
    most: number,
  ) {
    this.#open = open;
    this.#most = most;
    this.#filter = request.filter;
    this.#largest = request.outputSize;
    this.#unwatch = open.share.backend.watch(open.node, request.recursive, (event) => this.#record(event));
  }

  #record(event: ChangeEvent<Node>): void {
    if (this.#ended !== undefined || (this.#filterOf(event) & this.#filter) === 0) return;
    if (this.#events.length >= this.#most) {
      this.#overflowed = true;
      this.#events = [];
    } else if (!this.#overflowed) this.#events.push({ action: event.action, name: this.#nameOf(event) });
    // Changes reported in the same turn, such as the two halves of a rename, go into one reply.
    if (this.#scheduled || this.#waiting.length === 0) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #filterOf(event: ChangeEvent<Node>): number {
    if (event.filter !== undefined) return event.filter;
    if (event.action === 'modified') return MODIFIED;
    if (!event.node) return NAMES;
    const kind = this.#open.share.backend.cachedAttributes(event.node)?.kind;
    if (kind === undefined) return NAMES;
    return kind === 'directory' ? NotifyFilter.DIR_NAME : NotifyFilter.FILE_NAME;
  }

  /** The name relative to the watched directory. */
  #nameOf(event: ChangeEvent<Node>): string {
    const names = [event.name];
    const { backend } = this.#open.share;
    for (let at = event.directory; at !== this.#open.node;) {
      const above = backend.parent(at);
      if (!above) break;
      names.unshift(above.name);
      at = above.directory;
    }
    return names.map(this.#open.posix ? toPosixWireName : toWireName).join('\\');
  }

  #deliver(): void {
    while (this.#waiting.length > 0 && (this.#events.length > 0 || this.#overflowed)) {
      const { most, finish } = this.#waiting.shift()!;
      finish(this.#take(most));
    }
  }

  #take(most: number): NotifyResult {
    const data = this.#overflowed ? undefined : encodeNotify(this.#events, Math.min(most, this.#largest));
    this.#events = [];
    this.#overflowed = false;
    return data
      ? { status: Status.SUCCESS, data }
      : { status: Status.NOTIFY_ENUM_DIR, data: Buffer.alloc(0) };
  }

  /** Whether a new request can be answered at once. */
  get isReady(): boolean {
    if (this.#ended !== undefined) return true;
    return this.#waiting.length === 0 && (this.#events.length > 0 || this.#overflowed);
  }

  /** Waits for a change. Requests get results in order of arrival. */
  wait(most: number, signal: AbortSignal): NotifyResult | Promise<NotifyResult> {
    if (this.#ended !== undefined) return { status: this.#ended, data: Buffer.alloc(0) };
    if (this.isReady) return this.#take(most);
    return new Promise((resolve) => {
      const waiting: Waiting = { most, finish: resolve };
      this.#waiting.push(waiting);
      signal.addEventListener(
        'abort',
        () => {
          const index = this.#waiting.indexOf(waiting);
          if (index >= 0) this.#waiting.splice(index, 1);
          resolve({ status: Status.CANCELLED, data: Buffer.alloc(0) });
        },
        { once: true },
      );
    });
  }

  /** Called when the directory is being deleted. */
  deleted(): void {
    this.#finish(Status.DELETE_PENDING);
  }

  /** Called when the open is being closed. */
  end(): void {
    this.#finish(Status.NOTIFY_CLEANUP);
  }

  #finish(status: NtStatus): void {
    if (this.#ended !== undefined) return;
    this.#ended = status;
    this.#unwatch();
    for (const { finish } of this.#waiting.splice(0)) finish({ status, data: Buffer.alloc(0) });
  }
}

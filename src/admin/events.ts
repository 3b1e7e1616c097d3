/** The live half of the page: the same JSON as /api/status, again and again, as server-sent events. */
import type { ServerResponse } from 'node:http';

/** Pages that may be open at once, how often they are told, ms, and bytes that may wait for a slow one. */
const most = 16;
const interval = 1_000;
const backlog = 1_048_576;

export interface Event {
  readonly name: string;
  readonly data: unknown;
}

interface Listener {
  readonly response: ServerResponse;
  /** Listeners of one audience get the same text. */
  readonly audience: string;
  readonly next: () => Event;
}

export class Events {
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;

  get isFull(): boolean {
    return this.#listeners.size >= most;
  }

  /**
   * Goes on with this response until its reader leaves.
   * @param first sent at once. @param next made for each round, once for all of one audience.
   */
  add(response: ServerResponse, audience: string, first: Event, next: () => Event): void {
    const listener = { response, audience, next };
    this.#listeners.add(listener);
    response.on('close', () => this.#listeners.delete(listener));
    response.write(text(first));
    this.#timer ??= setInterval(() => this.#tell(), interval).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const { response } of this.#listeners) response.end();
    this.#listeners.clear();
  }

  #tell(): void {
    const made = new Map<string, string>();
    for (const { response, audience, next } of this.#listeners) {
      // Whoever does not read misses a round, and gets the next one.
      if (response.writableLength > backlog) continue;
      let line = made.get(audience);
      if (line === undefined) made.set(audience, (line = text(next())));
      response.write(line);
    }
    if (this.#listeners.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

const text = ({ name, data }: Event) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

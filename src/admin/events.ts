/** Sends the JSON of /api/status to open pages once a second, as server-sent events. */
import type { ServerResponse } from 'node:http';

/** The most open pages, and the most of one address: nobody may take the places of all others. */
const most = 32;
const mostOfAddress = 8;
/** Milliseconds between two events. */
const interval = 1_000;
/** Unsent bytes after which a slow page gets no further events. */
const backlog = 1_048_576;

export interface Event {
  readonly name: string;
  readonly data: unknown;
}

export interface Listener {
  readonly response: ServerResponse;
  /** Address of the client. */
  readonly client: string;
  /** Listeners with the same rights: they get the same text. */
  readonly audience: string;
  /** Makes the next event; called once per round for all listeners of an audience. */
  readonly next: () => Event;
}

export class Events {
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;

  /** Whether a client at this address cannot follow the gateway now. */
  isFullFor(client: string): boolean {
    const ofAddress = [...this.#listeners].filter((one) => one.client === client).length;
    return this.#listeners.size >= most || ofAddress >= mostOfAddress;
  }

  /** Sends events to this listener, `first` at once, until the client closes the response. */
  add(listener: Listener, first: Event): void {
    const { response } = listener;
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
      // A slow client skips this event.
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

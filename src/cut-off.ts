/** Counts the requests that a stopping gateway leaves unanswered. */
export class CutOff {
  readonly #stopping: AbortSignal;
  readonly #clients = new Set<string>();
  #requests = 0;

  constructor(stopping: AbortSignal) {
    this.#stopping = stopping;
  }

  /** A connection of this client has ended without the answers to so many requests. */
  note(client: string, requests: number): void {
    if (!this.#stopping.aborted) return;
    this.#clients.add(client);
    this.#requests += requests;
  }

  get requests(): number {
    return this.#requests;
  }

  get clients(): number {
    return this.#clients.size;
  }
}

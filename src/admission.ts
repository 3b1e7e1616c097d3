/** Who may connect at all. Both protocols ask here, at accept, before a connection costs anything. */
import { Server, type ServerOpts, type Socket } from 'node:net';
import { LineThrottle, type Logger } from './log/index.ts';

/** The rules of one protocol's exports. */
export class Admission {
  readonly #protocol: string;
  readonly #meter: { refused: number };
  readonly #log: Logger;
  readonly #lines = new LineThrottle();
  #rules: readonly ((address: string) => boolean)[] = [];

  constructor(protocol: string, meter: { refused: number }, log: Logger) {
    this.#protocol = protocol;
    this.#meter = meter;
    this.#log = log;
  }

  /** One rule for each export, in place of those before. */
  setRules(rules: readonly ((address: string) => boolean)[]): void {
    this.#rules = rules;
  }

  /** Whether any export allows this address. */
  admits(address: string): boolean {
    return this.#rules.some((rule) => rule(address));
  }

  /** Counts a refusal, and logs it as far as that does not flood the log. */
  refused(client: string, port: number): void {
    this.#meter.refused += 1;
    const omitted = this.#lines.admit();
    if (omitted === undefined) return;
    const line = { client, port, protocol: this.#protocol, omitted };
    this.#log.warn(line, 'connection refused: no export allows this address');
  }
}

/**
 * A server that hangs up on every other address. The protocol's own server sees nothing of such a connection, so it
 * takes no place of the number that may be open.
 */
export class GuardedServer extends Server {
  readonly #admission: Pick<Admission, 'admits' | 'refused'>;

  constructor(options: ServerOpts, admission: Pick<Admission, 'admits' | 'refused'>) {
    super(options);
    this.#admission = admission;
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event !== 'connection') return super.emit(event, ...args);
    const socket = args[0] as Socket;
    // Undefined once the client has gone again.
    const { remoteAddress = '', remotePort = 0 } = socket;
    if (this.#admission.admits(remoteAddress)) return super.emit(event, ...args);
    socket.on('error', () => undefined);
    // A reset leaves nothing behind, neither here nor in the kernel.
    socket.resetAndDestroy();
    this.#admission.refused(remoteAddress, remotePort);
    return true;
  }
}

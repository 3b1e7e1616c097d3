/** Checks client addresses at accept, for both protocols, before a connection uses any resources. */
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

  /** Replaces the rules: one for each export. */
  setRules(rules: readonly ((address: string) => boolean)[]): void {
    this.#rules = rules;
  }

  /** Whether any export allows this address. */
  admits(address: string): boolean {
    return this.#rules.some((rule) => rule(address));
  }

  /** Counts a refused connection and logs it; the log line is rate-limited. */
  refused(client: string, port: number): void {
    this.#meter.refused += 1;
    const more = this.#lines.admit();
    if (!more) return;
    const line = { client, port, protocol: this.#protocol, ...more };
    this.#log.warn(line, 'connection refused: no export allows this address');
  }
}

/**
 * A server that resets connections from addresses that are not admitted. Listeners of `connection` never see them, so they
 * do not count towards the connection limit.
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
    // Undefined if the client has already disconnected.
    const { remoteAddress = '', remotePort = 0 } = socket;
    if (this.#admission.admits(remoteAddress)) return super.emit(event, ...args);
    socket.on('error', () => undefined);
    // A reset leaves no state behind (no TIME_WAIT).
    socket.resetAndDestroy();
    this.#admission.refused(remoteAddress, remotePort);
    return true;
  }
}

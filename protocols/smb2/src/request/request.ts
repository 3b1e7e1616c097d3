import type { CallContext, Caller } from '../backend.ts';
import type { Connection } from '../connection/connection.ts';
import type { Setup } from '../connection/setup.ts';
import type { ServerContext } from '../context/context.ts';
import type { Signer } from '../crypto/index.ts';
import { StatusError } from '../errors.ts';
import type { Share } from '../file/share.ts';
import type { AnyOpen } from '../open/any-open.ts';
import type { Open } from '../open/open.ts';
import type { Session } from '../session/session.ts';
import type { TreeConnect } from '../session/tree.ts';
import { isUnproven } from '../share/identity.ts';
import type { Identity, Principal } from '../share/identity.ts';
import { Command, Dialect, HeaderFlags, RELATED_ID } from '../wire/constants.ts';
import type { Header } from '../wire/header.ts';
import { Status } from '../wire/status.ts';
import type { NtStatus } from '../wire/status.ts';
import type { Chain, ChainedRequest } from './chain.ts';

/** One request of a message, with everything its handler needs. */
export class Request implements CallContext, ChainedRequest, Principal {
  readonly connection: Connection;
  readonly chain: Chain;
  readonly header: Header;
  /** The request from its SMB2 header to its end. Offsets on the wire refer to this buffer. */
  readonly packet: Buffer;
  /** The session that sealed the message. The reply will be sealed too. */
  readonly sealed: Session | undefined;
  readonly started = performance.now();
  sessionOrUndefined: Session | undefined;
  treeOrUndefined: TreeConnect | undefined;
  openOrUndefined: AnyOpen | undefined;
  creditsGranted = false;
  asyncId: number | undefined;
  waitsForEvents = false;
  isWithheld = false;
  /** The `parentLease` of the open that this CREATE will make. */
  createsUnder: string | undefined;
  cleanupStatus: NtStatus = Status.CANCELLED;
  setup: Setup | undefined;
  /** Signs the reply for a session that is not bound to this connection. */
  foreignSigner: Signer | undefined;
  /** Status of the reply once the request is abandoned. */
  #abandoned: NtStatus | undefined;
  #abort: AbortController | undefined;

  constructor(chain: Chain, header: Header, packet: Buffer) {
    this.connection = chain.connection;
    this.chain = chain;
    this.header = header;
    this.packet = packet;
    this.sealed = chain.sealed;
  }

  get context(): ServerContext {
    return this.connection.context;
  }

  get dialect(): Dialect | 0 {
    return this.connection.negotiated.dialect ?? 0;
  }

  get signer(): Signer | undefined {
    return this.foreignSigner ?? this.sessionOrUndefined?.signerOn(this.connection);
  }

  get session(): Session {
    return this.sessionOrUndefined ?? this.#missing(Status.USER_SESSION_DELETED);
  }

  get tree(): TreeConnect {
    return this.treeOrUndefined ?? this.#missing(Status.NETWORK_NAME_DELETED);
  }

  get share(): Share {
    return this.tree.share ?? this.#missing(Status.INVALID_DEVICE_REQUEST);
  }

  get anyOpen(): AnyOpen {
    return this.openOrUndefined ?? this.#missing(Status.FILE_CLOSED);
  }

  /** The open, when it is a file or directory. */
  get open(): Open {
    const open = this.anyOpen;
    return open.kind === 'file' ? open : this.#missing(Status.INVALID_DEVICE_REQUEST);
  }

  get parentLease(): string | undefined {
    const open = this.openOrUndefined;
    return this.createsUnder ?? (open?.kind === 'file' ? open.parentLease : undefined);
  }

  get outlivesConnection(): boolean {
    const channels = this.sessionOrUndefined?.channels.length ?? 0;
    return channels > 1 && this.header.command === Command.CREATE;
  }

  get isRelated(): boolean {
    return (this.header.flags & HeaderFlags.RELATED_OPERATIONS) !== 0;
  }

  /**
   * Finds the open by both halves of a FileId.
   * @param at offset of the FileId in the packet.
   * @throws StatusError FILE_CLOSED.
   */
  findOpen(at: number): AnyOpen {
    const { packet } = this;
    const volatileId = packet.readUInt32LE(at + 8) + packet.readUInt32LE(at + 12) * 2 ** 32;
    const open = this.session.opens.get(volatileId);
    const isSame =
      open?.tree === this.tree &&
      open.persistentLow === packet.readUInt32LE(at) &&
      open.persistentHigh === packet.readUInt32LE(at + 4);
    return isSame ? open : this.#missing(Status.FILE_CLOSED);
  }

  /**
   * As `findOpen`. In a related request, a FileId of all ones means the open of the request before it ([MS-SMB2]
   * 3.3.5.2.7.2).
   * @throws StatusError FILE_CLOSED when that request has no open.
   */
  chainedOpen(at: number): AnyOpen {
    if (!this.isRelated || this.packet.readBigUInt64LE(at + 8) !== RELATED_ID) return this.findOpen(at);
    const { open } = this.chain;
    return open && this.session.opens.get(open.volatileId) === open
      ? open
      : this.#missing(Status.FILE_CLOSED);
  }

  /**
   * A client raises ChannelSequence after a channel failure. Requests that it sent before must not change anything any
   * more ([MS-SMB2] 3.3.5.2.10).
   * @throws StatusError FILE_NOT_AVAILABLE.
   */
  checkChannelSequence(changes: boolean): void {
    const open = this.openOrUndefined;
    if (open?.kind !== 'file' || this.dialect < Dialect.SMB_3_0) return;
    const ahead = (this.header.channelSequence - open.channelSequence) & 0xffff;
    if (ahead <= 0x7fff) open.channelSequence = this.header.channelSequence;
    else if (changes) this.#missing(Status.FILE_NOT_AVAILABLE);
  }

  #missing(status: NtStatus): never {
    throw new StatusError(status);
  }

  get identity(): Identity {
    return this.session.identity;
  }

  get caller(): Caller {
    const { identity } = this.session;
    return {
      userName: identity.userName,
      guest: isUnproven(identity),
      address: this.connection.address,
    };
  }

  /** Aborts on CANCEL, on the end of the session or tree connect, and on the loss of the connection. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#abandoned !== undefined && !this.#abort.signal.aborted) this.#abort.abort();
    return this.#abort.signal;
  }

  get abandoned(): NtStatus | undefined {
    return this.#abandoned;
  }

  /** @throws StatusError when the request was abandoned in the meantime. */
  throwIfAbandoned(): void {
    if (this.#abandoned !== undefined) throw new StatusError(this.#abandoned);
  }

  /**
   * Ends the request from outside: CANCEL ([MS-SMB2] 3.3.5.16), or the end of its open, tree connect, session or
   * connection.
   */
  abandon(status: NtStatus = Status.CANCELLED): void {
    this.#abandoned ??= status;
    this.#abort?.abort();
  }

  whenAbandoned(): Promise<void> {
    const { signal } = this;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  }

  /** Withholds the reply until the connection ends, so that the client asks the next server. */
  async untilTheEnd(): Promise<void> {
    this.waitsForEvents = true;
    this.isWithheld = true;
    await this.whenAbandoned();
  }

  /**
   * Sends the interim reply once, if the request is the last one of its compound ([MS-SMB2] 3.3.4.2).
   * @throws StatusError when too many requests of the connection are asynchronous already.
   */
  goAsync(): void {
    this.chain.sendInterim(this);
  }
}

import type { ServerContext } from '../context/context.ts';
import type { Reply } from '../context/reply.ts';
import type { CipherName, Sealer, Signer, SigningAlgorithm } from '../crypto/index.ts';
import type { Caching } from '../file/caching.ts';
import type { SessionEvent } from '../hooks.ts';
import type { AnyOpen } from '../open/any-open.ts';
import type { OpenSession } from '../open/owner.ts';
import { isUnproven, NOBODY } from '../share/identity.ts';
import type { Identity } from '../share/identity.ts';
import type { Dialect } from '../wire/constants.ts';
import { sealsNotifications } from './protection.ts';
import type { TreeConnect } from './tree.ts';

/** The parts of a request by which a session finds the requests to end. */
export interface SessionRequest {
  readonly sessionOrUndefined: Session | undefined;
  readonly treeOrUndefined: TreeConnect | undefined;
}

/** The results of NEGOTIATE that must be the same on all connections of a session. */
export interface SessionTerms {
  readonly dialect: Dialect | undefined;
  readonly clientGuid: Buffer;
  readonly signingAlgorithm: SigningAlgorithm;
  readonly cipher: CipherName | undefined;
}

/** What a session needs of its connections. */
export interface SessionConnection {
  readonly address: string;
  readonly port: number;
  readonly closed: boolean;
  readonly negotiated: SessionTerms;
  readonly sessions: { delete(id: number): boolean };
  /** Sends an unsolicited OPLOCK_BREAK. */
  sendNotification(body: Reply, sealer: Sealer | undefined): void;
  readonly running: { readonly size: number };
  abandonRequests(concerned: (request: SessionRequest) => boolean): void;
}

/** Keeps the sessions of all connections. */
export interface SessionRegistry {
  sessionClosed(session: Session): void;
}

/** One connection of a session, with its signing key ([MS-SMB2] 3.3.1.14). */
export interface Channel {
  readonly connection: SessionConnection;
  /** Undefined for guests and anonymous clients. */
  signer: Signer | undefined;
}

/** A session ([MS-SMB2] 3.3.1.8). It has one or more connections of the same client. */
export class Session implements OpenSession {
  readonly id: number;
  readonly context: ServerContext;
  readonly #registry: SessionRegistry;
  readonly negotiated: SessionTerms;
  state: 'in-progress' | 'valid' | 'closed' = 'in-progress';
  identity: Identity = NOBODY;
  sealer: Sealer | undefined;
  signingRequired = false;
  encryptData = false;
  readonly #channels: Channel[] = [];
  /** Lost connections on which requests of the session still run. */
  #lost: SessionConnection[] = [];
  readonly trees = new Map<number, TreeConnect>();
  /** By the volatile half of the FileId. */
  readonly opens = new Map<number, AnyOpen>();
  notifies = 0;

  constructor(id: number, context: ServerContext, registry: SessionRegistry, connection: SessionConnection) {
    this.id = id;
    this.context = context;
    this.#registry = registry;
    this.negotiated = connection.negotiated;
    this.addChannel(connection, undefined);
  }

  get dialect(): Dialect {
    return this.negotiated.dialect!;
  }

  get clientGuid(): Buffer {
    return this.negotiated.clientGuid;
  }

  get channels(): readonly Channel[] {
    return this.#channels;
  }

  addChannel(connection: SessionConnection, signer: Signer | undefined): Channel {
    const channel = { connection, signer };
    this.#channels.push(channel);
    return channel;
  }

  channelOf(connection: SessionConnection): Channel | undefined {
    return this.#channels.find((channel) => channel.connection === connection);
  }

  signerOn(connection: SessionConnection): Signer | undefined {
    return this.channelOf(connection)?.signer;
  }

  /** Whether the user has proved its identity, so that the session can sign. */
  get hasKey(): boolean {
    return this.#channels.some(({ signer }) => signer !== undefined);
  }

  /** Removes a lost connection. With the last one the session ends, except for durable opens ([MS-SMB2] 3.3.7.1). */
  connectionLost(connection: SessionConnection): void {
    const index = this.#channels.findIndex((channel) => channel.connection === connection);
    if (this.#channels.length === 1 && index === 0) {
      this.close(true);
      return;
    }
    if (index < 0) return;
    this.#channels.splice(index, 1);
    this.#lost = [...this.#lost, connection].filter(({ running }) => running.size > 0);
    this.#repeatBreaks();
  }

  /** Repeats breaks, since one may have been lost with the channel (3.3.4.6, 3.3.4.7). */
  #repeatBreaks(): void {
    const breaking = new Set<Caching>();
    for (const open of this.opens.values())
      if (open.kind === 'file' && open.caching?.breaking === true) breaking.add(open.caching);
    for (const caching of breaking) caching.tellAgain();
  }

  /**
   * Sends an oplock or lease break. Returns false when the client cannot be reached.
   * @param isShareSealed whether the share requires encryption.
   */
  notify(body: Reply, isShareSealed: boolean): boolean {
    if (this.state !== 'valid') return false;
    const sealer = sealsNotifications(this, isShareSealed) ? this.sealer : undefined;
    const channel = this.#channels.find(({ connection }) => !connection.closed);
    channel?.connection.sendNotification(body, sealer);
    return channel !== undefined;
  }

  event(): SessionEvent {
    const first = this.#channels[0]?.connection;
    return {
      address: first?.address ?? '',
      port: first?.port ?? 0,
      sessionId: this.id,
      userName: this.identity.userName,
      guest: isUnproven(this.identity),
      dialect: this.dialect,
      signed: this.signingRequired,
      encrypted: this.encryptData,
    };
  }

  #abandonRequests(concerned: (request: SessionRequest) => boolean): void {
    const connections = [...this.#channels.map(({ connection }) => connection), ...this.#lost];
    for (const connection of connections) connection.abandonRequests(concerned);
  }

  disconnectTree(tree: TreeConnect): void {
    if (!this.trees.delete(tree.id)) return;
    this.#abandonRequests((request) => request.treeOrUndefined === tree);
    for (const open of [...this.opens.values()]) if (open.tree === tree) open.dispose();
    this.context.hooks.treeDisconnected?.({ ...this.event(), share: tree.name });
  }

  /**
   * Ends the session with its tree connects, opens and running requests.
   * @param keepDurable whether to keep durable opens.
   */
  close(keepDurable: boolean): void {
    if (this.state === 'closed') return;
    const wasValid = this.state === 'valid';
    this.state = 'closed';
    for (const { connection } of this.#channels) connection.sessions.delete(this.id);
    this.#registry.sessionClosed(this);
    this.#abandonRequests((request) => request.sessionOrUndefined === this);
    for (const open of [...this.opens.values()]) {
      if (keepDurable && open.kind === 'file' && open.preserve()) continue;
      open.dispose();
    }
    const event = this.event();
    for (const tree of this.trees.values())
      this.context.hooks.treeDisconnected?.({ ...event, share: tree.name });
    this.trees.clear();
    if (wasValid) this.context.hooks.sessionClosed?.(event);
  }
}

import type { AuthExchange } from '../auth/index.ts';
import type { Caller } from '../backend.ts';
import type { PreauthHash, Sealer, Signer } from '../crypto/index.ts';
import type { SessionEvent } from '../hooks.ts';
import type { Connection } from './connection.ts';
import type { AnyOpen } from './open.ts';
import { sealsNotifications } from './protection.ts';
import type { Reply } from './reply.ts';
import type { TreeConnect } from './tree.ts';

export interface Identity {
  readonly userName: string;
  readonly domain: string;
  readonly guest: boolean;
  readonly anonymous: boolean;
}

const NOBODY: Identity = { userName: '', domain: '', guest: false, anonymous: true };

/** A session ([MS-SMB2] 3.3.1.8), on its one connection. */
export class Session {
  readonly id: number;
  readonly connection: Connection;
  state: 'in-progress' | 'valid' | 'closed' = 'in-progress';
  identity: Identity = NOBODY;
  /** The authentication under way: the first one, or a later one of the same session. */
  exchange: AuthExchange | undefined;
  preauthHash: PreauthHash | undefined;
  signer: Signer | undefined;
  sealer: Sealer | undefined;
  signingRequired = false;
  encryptData = false;
  readonly trees = new Map<number, TreeConnect>();
  /** By the volatile half of the FileId. */
  readonly opens = new Map<number, AnyOpen>();
  notifies = 0;

  constructor(id: number, connection: Connection) {
    this.id = id;
    this.connection = connection;
  }

  get hasKey(): boolean {
    return this.signer !== undefined;
  }

  get caller(): Caller {
    return {
      userName: this.identity.userName,
      guest: this.identity.guest || this.identity.anonymous,
      address: this.connection.address,
    };
  }

  /**
   * Sends an oplock or lease break.
   * @param isShareSealed it concerns a share that refuses plaintext.
   * @returns false when the client cannot be reached.
   */
  notify(body: Reply, isShareSealed: boolean): boolean {
    if (this.state !== 'valid' || this.connection.closed) return false;
    const sealer = sealsNotifications(this, isShareSealed) ? this.sealer : undefined;
    this.connection.sendNotification(body, sealer);
    return true;
  }

  event(): SessionEvent {
    return {
      address: this.connection.address,
      port: this.connection.port,
      sessionId: this.id,
      userName: this.identity.userName,
      guest: this.identity.guest || this.identity.anonymous,
      dialect: this.connection.dialect ?? 0,
      signed: this.signingRequired,
      encrypted: this.encryptData,
    };
  }

  disconnectTree(tree: TreeConnect): void {
    if (!this.trees.delete(tree.id)) return;
    this.connection.abandonRequests((request) => request.treeOrUndefined === tree);
    for (const open of [...this.opens.values()]) if (open.tree === tree) open.dispose();
    this.connection.server.hooks.treeDisconnected?.({ ...this.event(), share: tree.name });
  }

  /**
   * Ends the session: trees, opens and waiting requests.
   * @param keepDurable after the loss of the connection durable opens outlive the session ([MS-SMB2] 3.3.7.1).
   */
  close(keepDurable: boolean): void {
    if (this.state === 'closed') return;
    const wasValid = this.state === 'valid';
    this.state = 'closed';
    this.connection.sessions.delete(this.id);
    this.connection.server.sessions.delete(this.id);
    this.connection.abandonRequests((request) => request.sessionOrUndefined === this);
    for (const open of [...this.opens.values()]) {
      if (keepDurable && open.kind === 'file' && open.preserve()) continue;
      open.dispose();
    }
    for (const tree of this.trees.values())
      this.connection.server.hooks.treeDisconnected?.({ ...this.event(), share: tree.name });
    this.trees.clear();
    if (wasValid) this.connection.server.hooks.sessionClosed?.(this.event());
  }
}

/** What opens need of their session and tree connect. */
import type { Reply } from '../context/reply.ts';

export interface OpenSession {
  /** By the volatile half of the FileId. */
  readonly opens: { delete(volatileId: number): boolean };
  /** Sends an oplock or lease break. Returns false when the client cannot be reached. */
  notify(body: Reply, isShareSealed: boolean): boolean;
}

export interface OpenTree {
  readonly session: OpenSession;
  /** Whether the share requires encryption. */
  readonly encrypted: boolean;
}

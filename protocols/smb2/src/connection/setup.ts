import type { AuthExchange } from '../auth/index.ts';
import type { PreauthHash } from '../crypto/index.ts';

/** An authentication under way on a connection: PreauthSession of [MS-SMB2] 3.3.1.15 with its GSS context. */
export interface Setup {
  readonly exchange: AuthExchange;
  /** performance.now() */
  readonly startedAt: number;
  /** Covers each SESSION_SETUP and its reply, with 3.1.1. */
  readonly preauthHash: PreauthHash | undefined;
}

import type { AuthExchange } from '../auth/index.ts';
import type { PreauthHash } from '../crypto/index.ts';

/** A running authentication on a connection: PreauthSession of [MS-SMB2] 3.3.1.15 with its GSS context. */
export interface Setup {
  readonly exchange: AuthExchange;
  /** performance.now() */
  readonly startedAt: number;
  /** With 3.1.1: covers each SESSION_SETUP and its reply. */
  readonly preauthHash: PreauthHash | undefined;
}

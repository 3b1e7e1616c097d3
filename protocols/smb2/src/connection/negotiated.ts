import type { CipherName, PreauthHash, SigningAlgorithm } from '../crypto/index.ts';
import type { Dialect } from '../wire/constants.ts';

/** What NEGOTIATE has settled for a connection ([MS-SMB2] 3.3.1.7). */
export class Negotiated {
  /** Undefined until NEGOTIATE. */
  dialect: Dialect | undefined;
  /** An SMB1 NEGOTIATE was answered with the wildcard dialect. An SMB2 NEGOTIATE must follow. */
  wildcard = false;
  clientGuid: Buffer = Buffer.alloc(16);
  clientCapabilities = 0;
  clientSecurityMode = 0;
  clientDialects: readonly number[] = [];
  capabilities = 0;
  securityMode = 0;
  preauthHash: PreauthHash | undefined;
  cipher: CipherName | undefined;
  signingAlgorithm: SigningAlgorithm = 'hmac-sha256';
  /** The client and the server agreed on directory entries for Finder, in a create context. */
  finderEntries = false;
  /** The client and the server agreed on the POSIX extensions. */
  posix = false;
}

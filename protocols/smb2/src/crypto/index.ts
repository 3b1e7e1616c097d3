export { counterKdf, deriveKeys } from './kdf.ts';
export type { CipherName, KeyOptions, SessionKeys } from './kdf.ts';
export { PreauthHash } from './preauth.ts';
export {
  createSealer,
  NonceExhaustedError,
  TRANSFORM_HEADER_SIZE,
  transformSessionId,
  UnsealError,
} from './sealer.ts';
export type { Sealer, SealerOptions } from './sealer.ts';
export { createSigner } from './signer.ts';
export type { Signer, SignerOptions, SigningAlgorithm } from './signer.ts';

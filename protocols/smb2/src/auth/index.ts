export { AuthExchange } from './authenticator.ts';
export type { AuthResult } from './authenticator.ts';
export { AuthError, AuthStatus } from './errors.ts';
export type { AuthIdentity, AuthOptions } from './ntlm-server.ts';
export { initialToken } from './spnego.ts';
export { ntHash, UserStore } from './users.ts';
export type { User } from './users.ts';

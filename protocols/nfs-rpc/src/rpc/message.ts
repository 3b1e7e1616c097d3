/** RPC messages, RFC 5531 §8 and §9. */
import {
  byteString,
  type Decoded,
  list,
  nothing,
  opaque,
  struct,
  uint32,
  union,
  unionWithDefault,
} from '../xdr/codec.ts';

export const RPC_VERSION = 2;
export const CALL = 0;
export const REPLY = 1;

/** auth_flavor, RFC 5531 §8.1. */
export const AuthFlavor = { none: 0, sys: 1, short: 2, dh: 3, gss: 6 } as const;

/** accept_stat, RFC 5531 §9. */
export const AcceptStatus = {
  SUCCESS: 0,
  PROG_UNAVAIL: 1,
  PROG_MISMATCH: 2,
  PROC_UNAVAIL: 3,
  GARBAGE_ARGS: 4,
  SYSTEM_ERR: 5,
} as const;

/** auth_stat, RFC 5531 §9: the values that this server sends. */
export const AuthStatus = { BADCRED: 1, REJECTEDCRED: 2, TOOWEAK: 5 } as const;

/** opaque_auth, RFC 5531 §8.2. */
export const opaqueAuth = struct({ flavor: uint32, body: opaque(400) });

/** authsys_parms, RFC 5531 Appendix A. */
export const authSysParms = struct({
  stamp: uint32,
  machineName: byteString(255),
  uid: uint32,
  gid: uint32,
  gids: list(uint32, 16),
});

/** call_body with its xid and message type, RFC 5531 §9; the arguments follow. */
export const callMessage = struct({
  xid: uint32,
  type: uint32,
  rpcVersion: uint32,
  program: uint32,
  version: uint32,
  procedure: uint32,
  credential: opaqueAuth,
  verifier: opaqueAuth,
});
export type CallMessage = Decoded<typeof callMessage>;

const mismatch = struct({ low: uint32, high: uint32 });

/** accepted_reply after its verifier, RFC 5531 §9; on SUCCESS the results follow. */
const acceptedReply = unionWithDefault('acceptStatus', { [AcceptStatus.PROG_MISMATCH]: mismatch }, nothing);

/** rejected_reply, RFC 5531 §9. */
const rejectedReply = union('rejectStatus', { 0: mismatch, 1: struct({ authStatus: uint32 }) });

/** reply_body, RFC 5531 §9. */
const replyBody = union('replyStatus', {
  0: struct({ verifier: opaqueAuth, accepted: acceptedReply }),
  1: struct({ rejected: rejectedReply }),
});

/** A reply with its xid and message type, RFC 5531 §9. */
export const replyMessage = struct({ xid: uint32, type: uint32, body: replyBody });
export type ReplyMessage = Decoded<typeof replyMessage>;
export type ReplyBody = Decoded<typeof replyBody>;

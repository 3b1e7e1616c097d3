/** Who is on the other end of one transport connection. The object's identity lasts as long as the connection. */
export interface Peer {
  readonly transport: 'tcp' | 'udp';
  /** IPv4 or IPv6 text; an IPv4-mapped IPv6 address is given as IPv4. */
  readonly address: string;
  readonly port: number;
}

/** The caller's credential, RFC 5531 §8. AUTH_NONE has no ids. */
export type Credential =
  | { readonly flavor: 'none' }
  | {
      readonly flavor: 'sys';
      readonly machineName: string;
      readonly uid: number;
      readonly gid: number;
      /** At most 16. */
      readonly gids: readonly number[];
    };

/** One RPC call while it is being answered. */
export interface CallContext {
  readonly xid: number;
  readonly peer: Peer;
  readonly credential: Credential;
  /** Aborts when nobody waits for the answer any more (the connection is gone). Made on first use. */
  readonly signal: AbortSignal;
  /**
   * Set by a backend that expects to wait: when the same call arrives again meanwhile (same xid and connection), the
   * server answers the retransmission at once with what this throws (an NfsError), and drops the late result.
   */
  onRetransmission: (() => never) | undefined;
}

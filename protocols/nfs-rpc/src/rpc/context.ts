/** The client side of one transport connection. The object lives as long as the connection. */
export interface Peer {
  readonly transport: 'tcp' | 'udp';
  /** IPv4 or IPv6 text. An IPv4-mapped IPv6 address is written as IPv4. */
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

/** One running RPC call. */
export interface CallContext {
  readonly xid: number;
  readonly peer: Peer;
  readonly credential: Credential;
  /** Aborts when the connection is closed, so that no client waits for the reply. Made on first use. */
  readonly signal: AbortSignal;
  /**
   * Set by a backend that expects to wait. When the same call arrives again meanwhile (same xid and connection), the
   * server calls this, answers at once with the error that it throws (an NfsError), and drops the late result.
   */
  onRetransmission: (() => never) | undefined;
}

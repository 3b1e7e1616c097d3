/** `auto`: when the client wants it. */
export type Policy = 'required' | 'auto' | 'off';

/** An address of the server ([MS-SMB2] 2.2.32.5). */
export interface NetworkInterface {
  /** IPv4 or IPv6. */
  readonly address: string;
  /** The same for all addresses of one network card. */
  readonly index: number;
  /** Bits in a second. */
  readonly linkSpeed: number;
  /** Whether several connections to it are worth having. */
  readonly isParallel: boolean;
}

export interface ServerSettings {
  /** 16 bytes. */
  readonly serverGuid: Buffer;
  readonly serverName: string;
  readonly domain: string;
  readonly comment: string;
  readonly signing: Policy;
  readonly encryption: Policy;
  /** 32 bytes; without it durable handles do not outlive the process. */
  readonly durableKey: Buffer;
  readonly dialects: readonly number[];
  /** The addresses under which this server is reached, for clients with several channels; undefined: one channel each. */
  readonly interfaces: (() => readonly NetworkInterface[]) | undefined;
}

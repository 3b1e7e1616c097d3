/** `auto`: if the client asks for it. */
export type Policy = 'required' | 'auto' | 'off';

/** An address of the server ([MS-SMB2] 2.2.32.5). */
export interface NetworkInterface {
  /** IPv4 or IPv6. */
  readonly address: string;
  /** The same for all addresses of one network interface. */
  readonly index: number;
  /** Bits per second. */
  readonly linkSpeed: number;
  /** Whether clients should open several connections to it (RSS). */
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
  /** 32 bytes that authenticate durable handles. With the same key they survive a restart. */
  readonly durableKey: Buffer;
  readonly dialects: readonly number[];
  /** Addresses at which clients reach this server, for multichannel. Undefined: no multichannel. */
  readonly interfaces: (() => readonly NetworkInterface[]) | undefined;
}

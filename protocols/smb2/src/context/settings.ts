/** `auto`: when the client wants it. */
export type Policy = 'required' | 'auto' | 'off';

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
}

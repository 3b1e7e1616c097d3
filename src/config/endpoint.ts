import { isIPv6 } from 'node:net';

/** An address and port to listen at. Port 0: the system chooses one. */
export interface Endpoint {
  /** IPv4 or IPv6 address (without brackets) or host name. */
  readonly host: string;
  readonly port: number;
}

/** Parses `0.0.0.0:2049`, `[::]:2049` or `name:2049`. Returns undefined for any other text. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const [, bracketed, plain, digits] = match;
  if (bracketed !== undefined && !isIPv6(bracketed)) return undefined;
  const port = Number(digits);
  return port <= 65535 ? { host: bracketed ?? plain!, port } : undefined;
}

/** The text that {@link parseEndpoint} reads. */
export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The Host header, which tells by which name a browser has come here. */
import { isIP } from 'node:net';

/**
 * A page of another site can have its own name resolve to this server's address, and then read what it answers (DNS
 * rebinding). The browser sends that name here, and it is none of ours. An address cannot be made to lead elsewhere.
 * What sends no Host is no browser.
 * @param hosts names in lower case, without port.
 */
export function isKnownHost(header: string | undefined, hosts: readonly string[]): boolean {
  if (header === undefined) return true;
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d+)?$/.exec(header.trim()) ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  if (plain === undefined) return false;
  const name = plain.toLowerCase().replace(/\.$/, '');
  return isIP(name) === 4 || name === 'localhost' || name.endsWith('.localhost') || hosts.includes(name);
}

/** Whether an address is this machine's own: 127.0.0.0/8, ::1, and the first mapped into IPv6. */
export function isLoopback(address: string): boolean {
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

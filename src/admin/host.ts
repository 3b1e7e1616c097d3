/** Checks the Host header: the name that a browser used for this server. */
import { isIP } from 'node:net';

/**
 * Whether a Host header is acceptable: an IP address, localhost, or one of `hosts`. Another website can make its own name resolve
 * to this server's address, and then read the answers (DNS rebinding). The browser sends that foreign name in the Host header. A
 * client that sends no Host header is not a browser.
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

/** Whether an address is loopback: 127.0.0.0/8, also mapped into IPv6, or ::1. */
export function isLoopback(address: string): boolean {
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

/** A dual-stack socket shows an IPv4 address as an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2). Returns it as IPv4 text. */
export const plainAddress = (address: string): string =>
  address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;

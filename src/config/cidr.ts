/** Rules for client addresses: IPv4 and IPv6 addresses and CIDR ranges. */
import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Loopback, RFC 1918, and RFC 4193 unique local addresses. */
export const privateRanges: readonly string[] = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '::1/128',
  'fc00::/7',
];

/** IPv4-mapped addresses (RFC 4291 §2.5.5.2): a dual-stack socket reports IPv4 clients in this form. */
const mapped = new BlockList();
mapped.addSubnet('::ffff:0:0', 96, 'ipv6');

interface Range {
  readonly family: 'ipv4' | 'ipv6';
  readonly address: string;
  readonly prefix: number;
}

function parseRange(text: string): Range | undefined {
  const [address = '', prefix, ...rest] = text.split('/');
  if (rest.length > 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) return undefined;
  if (isIPv4(address)) {
    const bits = prefix === undefined ? 32 : Number(prefix);
    return bits <= 32 ? { family: 'ipv4', address, prefix: bits } : undefined;
  }
  if (!isIPv6(address) || address.includes('%') || mapped.check(address, 'ipv6')) return undefined;
  const bits = prefix === undefined ? 128 : Number(prefix);
  return bits <= 128 ? { family: 'ipv6', address, prefix: bits } : undefined;
}

/** Whether a text such as `10.0.0.0/8` or `fd00::1` is an address or range. IPv4-mapped ones are refused: write IPv4. */
export function isRange(text: string): boolean {
  return parseRange(text) !== undefined;
}

/** A set of addresses. Immutable; an empty one allows nobody. */
export class ClientRule {
  /** The ranges as given to the constructor. */
  readonly ranges: readonly string[];
  // One list for each family: in a shared list, `::/0` would match every IPv4 address.
  readonly #ipv4 = new BlockList();
  readonly #ipv6 = new BlockList();

  /** Throws RangeError for a text that is neither an address nor a CIDR range. */
  constructor(ranges: readonly string[]) {
    this.ranges = Object.freeze([...ranges]);
    for (const text of ranges) {
      const range = parseRange(text);
      if (!range) throw new RangeError(`${text} is neither an address nor a CIDR range`);
      const list = range.family === 'ipv4' ? this.#ipv4 : this.#ipv6;
      list.addSubnet(range.address, range.prefix, range.family);
    }
  }

  /** An IPv4-mapped IPv6 address counts as the IPv4 address. A text that is not an address is not allowed. */
  allows(address: string): boolean {
    const zone = address.indexOf('%');
    const bare = zone < 0 ? address : address.slice(0, zone);
    if (isIPv4(bare)) return this.#ipv4.check(bare, 'ipv4');
    if (!isIPv6(bare)) return false;
    return (mapped.check(bare, 'ipv6') ? this.#ipv4 : this.#ipv6).check(bare, 'ipv6');
  }

  toString(): string {
    return this.ranges.length === 0 ? 'nobody' : this.ranges.join(', ');
  }

  toJSON(): readonly string[] {
    return this.ranges;
  }
}

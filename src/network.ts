/** The addresses of this machine, for clients that use several connections: SMB tells them where else it can be reached. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

export interface LocalAddress {
  readonly address: string;
  /** The same for all addresses of one network card. */
  readonly index: number;
  /** Bits in a second. */
  readonly linkSpeed: number;
}

/** Where a card does not tell its speed (virtual ones do not): that of a common one. */
const ordinarySpeed = 1e9;
/** Cards come and go seldom; a client asks every few minutes. */
const keepMs = 10_000;

const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::' || host === '';

/** A number that the kernel shows for a network card; undefined when it does not. */
function cardFigure(card: string, figure: string): number | undefined {
  try {
    const value = Number(readFileSync(`/sys/class/net/${card}/${figure}`, 'utf8'));
    return value > 0 ? value : undefined;
  } catch {
    return undefined;
  }
}

function look(wanted: (address: string) => boolean): LocalAddress[] {
  const found: LocalAddress[] = [];
  for (const [card, addresses] of Object.entries(networkInterfaces())) {
    const index = cardFigure(card, 'ifindex') ?? 1;
    const megabits = cardFigure(card, 'speed');
    const linkSpeed = megabits === undefined ? ordinarySpeed : megabits * 1e6;
    for (const { address, scopeid = 0 } of addresses ?? [])
      // An address of one link means nothing to others.
      if (scopeid === 0 && wanted(address)) found.push({ address, index, linkSpeed });
  }
  return found;
}

/**
 * What a server at `host` is reached by.
 * @param configured what to tell instead, if given.
 */
export function localAddresses(
  host: string,
  configured: readonly string[] | undefined,
): () => LocalAddress[] {
  let known: LocalAddress[] = [];
  let since = Number.NEGATIVE_INFINITY;
  const lookNow = (): LocalAddress[] => {
    if (configured) {
      const own = look((address) => configured.includes(address));
      // An address that is not this machine's own belongs to what stands before it.
      return configured.map(
        (address, place) =>
          own.find((one) => one.address === address) ?? {
            address,
            index: 1000 + place,
            linkSpeed: ordinarySpeed,
          },
      );
    }
    if (!isWildcard(host)) return look((address) => address === host);
    const others = look((address) => !address.startsWith('127.') && address !== '::1');
    return host === '0.0.0.0' ? others.filter(({ address }) => !address.includes(':')) : others;
  };
  return () => {
    const now = performance.now();
    if (now - since > keepMs) {
      known = lookNow();
      since = now;
    }
    return known;
  };
}

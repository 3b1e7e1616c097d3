/** The addresses of this machine. SMB multichannel offers them to clients for further connections. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

export interface LocalAddress {
  readonly address: string;
  /** Interface index: the same for all addresses of one network card. */
  readonly index: number;
  /** Bits per second. */
  readonly linkSpeed: number;
}

/** Assumed speed of a card that does not report one, such as a virtual card. Bits per second. */
const ordinarySpeed = 1e9;
/** Ms for which the list is cached. Cards change seldom, and a client asks every few minutes. */
const keepMs = 10_000;

const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::' || host === '';

/** A positive number from the card's folder in /sys; undefined if the kernel reports none. */
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
      // Link-local addresses are valid on one link only: skip them.
      if (scopeid === 0 && wanted(address)) found.push({ address, index, linkSpeed });
  }
  return found;
}

/**
 * Returns a function that lists the addresses at which a server that listens at `host` can be reached.
 * @param configured the addresses to offer instead, if given.
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
      // An address that is not on this machine belongs to a load balancer or NAT in front of it.
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

/** Formats numbers for people, on the page and in `holdfast status`. */

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** In decimal units: 1 MB is a million bytes, as in players and at providers. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]!}`;
}

/** In at most two units, from seconds to days. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

export const milliseconds = (ms: number | undefined): string =>
  ms === undefined ? '…' : ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;

/** The position in percent of the size; empty if the size is unknown. */
export const progress = (position: number, size: number | undefined): string =>
  size === undefined || size === 0 ? '' : `${Math.min(100, Math.round((position / size) * 100))} %`;

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;

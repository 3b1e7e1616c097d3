/** Sizes as a configuration gives them: a number of bytes, or a number with its unit. */
const units = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** Bytes of a valid size. */
export function parseSize(size: number | string): number {
  if (typeof size === 'number') return size;
  return Number(size.slice(0, -3)) * units[size.slice(-3) as keyof typeof units];
}

/** FILETIME ([MS-DTYP] 2.3.3): 100 ns since 1601. */
const EPOCH = 116_444_736_000_000_000n;

/** @param milliseconds since 1970. */
export const toFileTime = (milliseconds: number): bigint =>
  EPOCH + BigInt(Math.trunc(milliseconds)) * 10_000n;

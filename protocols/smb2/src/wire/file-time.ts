/** FILETIME ([MS-DTYP] 2.3.3): 100 ns units since 1601. All times in this package and its backends have this form. */
const EPOCH_SECONDS = 11_644_473_600n;
/** Without the sign bit: larger values have a special meaning in SET_INFO ([MS-FSCC] 2.4.7). */
const LATEST = 0x7fffffffffffffffn;

/**
 * Converts a time relative to 1970, which may be negative. Times outside of the range become its first or last time.
 * @param nanoseconds 0 to 999,999,999.
 */
export function toFileTime(seconds: number, nanoseconds = 0): bigint {
  const time =
    (BigInt(Math.floor(seconds)) + EPOCH_SECONDS) * 10_000_000n + BigInt(Math.floor(nanoseconds / 100));
  return time < 0n ? 0n : time > LATEST ? LATEST : time;
}

/** @param milliseconds since 1970. */
export const fileTimeOf = (milliseconds: number): bigint =>
  toFileTime(Math.floor(milliseconds / 1000), Math.floor(milliseconds % 1000) * 1_000_000);

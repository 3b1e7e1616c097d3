/** FILETIME ([MS-DTYP] 2.3.3): 100 ns since 1601, as everything in this package and its backends tells times. */
const EPOCH_SECONDS = 11_644_473_600n;
/** The sign bit is not used: larger values mean something else in SET_INFO ([MS-FSCC] 2.4.7). */
const LATEST = 0x7fffffffffffffffn;

/**
 * A time after 1970, which may be negative. What lies before 1601 or too far ahead is held at the end of the range.
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

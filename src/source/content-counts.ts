/** Counts bytes and descriptors for the metrics. */
export class ContentCounts {
  opens = 0;
  closes = 0;
  /** Bytes requested from the source. */
  bytesAsked = 0;
}

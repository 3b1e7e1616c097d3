/** Bytes and descriptors, for the metrics. */
export class ContentCounts {
  opens = 0;
  closes = 0;
  /** Bytes asked of the source. */
  bytesAsked = 0;
  /** Bytes handed to clients. */
  bytesServed = 0;
}

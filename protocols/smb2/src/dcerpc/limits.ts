/** What a peer may make a pipe hold. */

/** Offered in bind_ack; also the longest fragment sent. */
export const MAX_FRAGMENT = 4280;
/** [C706] 12.6.3.1: every peer can receive this much. */
export const MIN_FRAGMENT = 1432;
/** Longest fragment accepted, also before the sizes are negotiated: what Windows sends at most. */
export const MAX_RECEIVED_FRAGMENT = 5840;
/** Stub bytes of one request, all fragments together. */
export const MAX_REQUEST_STUB = 256 * 1024;
export const MAX_REQUEST_FRAGMENTS = 512;
/** Answers that wait to be read; with more of them the next request is refused. */
export const MAX_UNREAD = 1024 * 1024;
export const MAX_PRESENTATION_CONTEXTS = 64;

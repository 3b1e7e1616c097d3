/** Limits on what a peer can make a pipe hold, in bytes unless noted. */

/** Longest fragment that is offered in bind_ack and sent. */
export const MAX_FRAGMENT = 4280;
/** [C706] 12.6.3.1: every peer can receive this length. */
export const MIN_FRAGMENT = 1432;
/** Longest fragment to accept, also before the sizes are negotiated: the most that Windows sends. */
export const MAX_RECEIVED_FRAGMENT = 5840;
/** Longest stub of one request, over all its fragments. */
export const MAX_REQUEST_STUB = 256 * 1024;
export const MAX_REQUEST_FRAGMENTS = 512;
/** Most unread replies. When a pipe holds more, it refuses the next request. */
export const MAX_UNREAD = 1024 * 1024;
export const MAX_PRESENTATION_CONTEXTS = 64;

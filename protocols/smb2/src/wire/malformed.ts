/** Received data is not valid. It fails the request or ends the connection. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

/** Bytes that no correct client sends; they end the connection. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

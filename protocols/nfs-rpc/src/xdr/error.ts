/** Received data does not match its declaration: too short, too long, or a value out of range. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

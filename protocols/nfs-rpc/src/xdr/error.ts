/** What arrived does not follow its declaration: too short, too long, or a value outside its range. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

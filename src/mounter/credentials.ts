/** Parses a credentials file in the format of mount.cifs(8). */
import type { Credentials } from './options.ts';

/** @throws Error if the name or the password is missing, or contains a comma, which mount options cannot hold. */
export function parseCredentials(text: string): Credentials {
  const lines = text.split('\n').map((line) => /^\s*(\w+)\s*=\s*(.*?)\r?$/.exec(line));
  const value = (names: readonly string[]) =>
    lines.find((line) => line !== null && names.includes(line[1]!))?.[2];
  const [user, password] = [value(['username', 'user']), value(['password', 'pass'])];
  if (user === undefined || password === undefined)
    throw new Error('it needs the lines username=NAME and password=WORD');
  if (`${user}${password}`.includes(','))
    throw new Error('a comma in the name or the password cannot be handed to the kernel');
  return { user, password };
}

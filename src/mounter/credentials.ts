/** The file of a user's name and password, as mount.cifs(8) reads it. */
import type { Credentials } from './options.ts';

/** Throws when it lacks one of them, or holds what cannot be handed to the kernel. */
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

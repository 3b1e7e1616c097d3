import { expect, it } from 'vitest';
import type { NodeAttributes } from '../../backend.ts';
import { posixReply } from './response.ts';

it('tells POSIX clients by the mode what is a symlink', () => {
  const modeOf = (kind: NodeAttributes['kind'], mode: number) =>
    posixReply({ kind, mode, links: 1, uid: 0, gid: 0 } as NodeAttributes).readUInt32LE(8);
  expect(modeOf('symlink', 0o777).toString(8)).toBe('20777');
  expect(modeOf('file', 0o4644).toString(8)).toBe('4644');
  expect(modeOf('directory', 0o755).toString(8)).toBe('755');
});

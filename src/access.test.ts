import { describe, expect, it, vi } from 'vitest';
import { actor, mayRead, maySearch, permissionBits, whenPermitted } from './access.ts';
import type { Attributes } from './tree/contract.ts';
import type { TreeNode } from './tree/node.ts';

const time = { seconds: 0, nanoseconds: 0 };
const times = { atime: time, mtime: time, ctime: time, creation: time };
function of(mode: number, kind: Attributes['kind'] = 'file'): Attributes {
  const rest = { links: 1, size: 0, used: 0, rdevMajor: 0, rdevMinor: 0 };
  return { kind, mode, uid: 1000, gid: 100, ...rest, ...times };
}
const owner = actor(1000, 1);
const member = { uid: 7, gid: 7, gids: [3, 100] };
const other = actor(65534, 65534);
const root = actor(0, 0);

describe('mode bits', () => {
  it.each([
    [0o640, owner, 6],
    [0o640, member, 4],
    [0o640, actor(7, 100), 4],
    [0o640, other, 0],
    // The first matching class decides, even if a later one has more rights.
    [0o077, owner, 0],
    [0o707, member, 0],
    [0o000, root, 6],
    [0o001, root, 7],
  ])('of %o let %j do %o', (mode, who, bits) => {
    expect(permissionBits(of(mode), who)).toBe(bits);
  });

  it('let root into every directory', () => {
    expect(permissionBits(of(0o000, 'directory'), root)).toBe(7);
  });

  it('ask for the actor only if the answer depends on it', () => {
    const who = vi.fn(() => other);
    expect([mayRead(of(0o444), who), maySearch(of(0o111), who)]).toEqual([true, true]);
    expect(who).not.toHaveBeenCalled();
    expect([mayRead(of(0o440), who), maySearch(of(0o711), who)]).toEqual([false, true]);
    expect(maySearch(of(0o700), who)).toBe(false);
  });
});

describe('whenPermitted', () => {
  const node = (attributes?: Attributes) => ({ attributes }) as unknown as TreeNode;
  const treeOf = (now: Attributes) => ({ attributes: vi.fn(() => Promise.resolve(now)) });
  const permits = (attributes: Attributes) => mayRead(attributes, () => other);

  it('does the work at once when the cached attributes permit it', () => {
    const tree = treeOf(of(0o600));
    expect(whenPermitted(tree, node(of(0o644)), permits, () => 'done')).toBe('done');
    expect(tree.attributes).not.toHaveBeenCalled();
  });

  it('fetches fresh attributes before it refuses', async () => {
    expect(await whenPermitted(treeOf(of(0o644)), node(of(0o600)), permits, () => 'done')).toBe('done');
    const refused = whenPermitted(treeOf(of(0o600)), node(), permits, () => 'done');
    await expect(refused).rejects.toMatchObject({ code: 'acces' });
  });
});

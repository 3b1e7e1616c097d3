import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import { decodeHandle, encodeHandle, handleMax, pieceMatches, type HandleSource } from './handle.ts';
import { Identity } from './identity.ts';

const identity = new Identity('holdfast', 'dfs');

function nodeAt(parts: readonly string[], of = identity): HandleSource {
  let node: HandleSource = {
    parent: undefined,
    depth: 0,
    pathHash: of.pathHash(''),
    nameHash: of.nameHash(''),
  };
  let path = '';
  for (const [i, name] of parts.entries()) {
    path += `/${name}`;
    node = { parent: node, depth: i + 1, pathHash: of.pathHash(path), nameHash: of.nameHash(name) };
  }
  return node;
}

const name = fc.string({ minLength: 1, maxLength: 40, unit: 'binary-ascii' });

describe('identity', () => {
  it('never moves: these values are in the caches of mounted clients', () => {
    expect({
      root: identity.pathHash(''),
      file: identity.pathHash('/__all__/Some.Release.2024/movie.mkv'),
      name: identity.nameHash('movie.mkv'),
      fsid: identity.fsid,
      serial: identity.volumeSerial,
      tag: identity.exportTag.toString('hex'),
      rootHandle: encodeHandle(identity, nodeAt([])).toString('hex'),
      handle: encodeHandle(identity, nodeAt(['__all__', 'Some.Release.2024', 'movie.mkv'])).toString('hex'),
    }).toMatchSnapshot();
  });

  it('depends on seed, export and path', () => {
    const others = [new Identity('other', 'dfs'), new Identity('holdfast', 'other')];
    for (const other of others) {
      expect(other.pathHash('/a')).not.toEqual(identity.pathHash('/a'));
      expect(other.fsid).not.toEqual(identity.fsid);
      expect(decodeHandle(other, encodeHandle(identity, nodeAt(['a'])))).toBeUndefined();
    }
  });

  it('gives 63-bit ids that are never zero', () => {
    fc.assert(
      fc.property(fc.string(), (path) => {
        const { high, low } = identity.pathHash(path);
        expect(high).toBeLessThan(2 ** 31);
        expect(high + low).toBeGreaterThan(0);
      }),
    );
  });
});

describe('file handles', () => {
  it('are at most 64 bytes, a multiple of 4, and match every component of the path', () => {
    fc.assert(
      fc.property(fc.array(name, { maxLength: 60 }), (parts) => {
        const node = nodeAt(parts);
        const handle = encodeHandle(identity, node);
        expect(handle.length).toBeLessThanOrEqual(handleMax);
        expect(handle.length % 4).toBe(0);
        const decoded = decodeHandle(identity, handle)!;
        expect(decoded).toEqual({
          depth: parts.length,
          pathHash: node.pathHash,
          walkable: parts.length <= 48,
        });
        for (const [level, part] of parts.entries()) {
          if (decoded.walkable)
            expect(pieceMatches(handle, parts.length, level, identity.nameHash(part))).toBe(true);
        }
      }),
    );
  });

  it('are refused if length, version, tag or padding is wrong', () => {
    const handle = encodeHandle(identity, nodeAt(['a']));
    expect(handle.length).toBe(24);
    const changed = (offset: number) => {
      const copy = Buffer.from(handle);
      copy[offset]! ^= 1;
      return decodeHandle(identity, copy);
    };
    expect(changed(0)).toBeUndefined();
    expect(changed(1)).toBeUndefined();
    expect(changed(5)).toBeUndefined();
    expect(changed(23)).toBeUndefined();
    expect(decodeHandle(identity, handle.subarray(0, 20))).toBeUndefined();
    expect(decodeHandle(identity, Buffer.alloc(0))).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
        expect(decodeHandle(identity, Buffer.from(bytes))).toBeUndefined();
      }),
    );
  });
});

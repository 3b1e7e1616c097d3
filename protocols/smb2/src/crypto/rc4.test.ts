import { expect, test } from 'vitest';
import { Rc4 } from './rc4.ts';

// RFC 6229 section 2: key, key stream at offset 0, key stream at offset 4096
test.each([
  ['0102030405', 'b2396305f03dc027ccc3524a0a1118a8', 'ff25b58995996707e51fbdf08b34d875'],
  [
    '0102030405060708090a0b0c0d0e0f10',
    '9ac7cc9a609d1ef7b2932899cde41b97',
    'a36a4c301ae8ac13610ccbc12256cacc',
  ],
  ['833222772a', '80ad97bdc973df8a2e879e92a497efda', 'bf42c3018c2f7c66bfde524975768115'],
])('key stream of %s, also when asked for in pieces', (key, first, later) => {
  const rc4 = new Rc4(Buffer.from(key, 'hex'));
  expect(rc4.update(Buffer.alloc(16)).toString('hex')).toBe(first);
  rc4.update(Buffer.alloc(4000));
  rc4.update(Buffer.alloc(80));
  expect(rc4.update(Buffer.alloc(16)).toString('hex')).toBe(later);
});

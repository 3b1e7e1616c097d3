import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { PreauthHash } from './preauth.ts';

test('a chain from 64 zero bytes, of which clones go on alone', () => {
  const sha512 = (...parts: Buffer[]): Buffer => createHash('sha512').update(Buffer.concat(parts)).digest();
  const connection = new PreauthHash();
  expect(connection.value).toEqual(Buffer.alloc(64));
  connection.update(Buffer.from('negotiate'), Buffer.from(' request'));
  const negotiated = sha512(Buffer.alloc(64), Buffer.from('negotiate request'));
  expect(connection.value).toEqual(negotiated);

  const session = connection.clone();
  session.update(Buffer.from('session setup'));
  expect(session.value).toEqual(sha512(negotiated, Buffer.from('session setup')));
  expect(connection.value).toEqual(negotiated);
});

import { expect, test } from 'vitest';
import { ntHash, upperCase, UserStore } from './users.ts';

test('NT hash of [MS-NLMP] 4.2.2.1.2', () => {
  expect(ntHash('Password').toString('hex')).toBe('a4f49c406510bdcab6824ee7c30fd852');
});

test('names are found in any case, and only whole', () => {
  const users = new UserStore();
  users.addPassword('Médiä', 'Password');
  expect(users.find('MÉDIÄ')).toEqual({ name: 'Médiä', ntHash: ntHash('Password') });
  expect(users.find('médi')).toBeUndefined();
  expect(users.find('')).toBeUndefined();
  expect(users.find('x'.repeat(100_000))).toBeUndefined();
  expect(users.size).toBe(1);
});

test('what cannot be a user is not added', () => {
  const users = new UserStore();
  users.addPassword('media', '');
  expect(() => users.addPassword('MEDIA', 'other')).toThrow(RangeError);
  expect(() => users.addPassword('', 'x')).toThrow(RangeError);
  expect(() => users.addPassword('x'.repeat(257), 'x')).toThrow(RangeError);
  expect(() => users.add('short', Buffer.alloc(15))).toThrow(RangeError);
});

test('upper case keeps the length', () => {
  expect(upperCase('straße ﬁ ñ')).toBe('STRAßE ﬁ Ñ');
});

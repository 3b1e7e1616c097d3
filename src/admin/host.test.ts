import { expect, it } from 'vitest';
import { isKnownHost } from './host.ts';

it.each([
  undefined,
  '127.0.0.1',
  '10.1.2.3:9445',
  '[::1]:9445',
  'localhost',
  'LocalHost:80',
  'x.localhost',
  'gateway.example:9445',
  'Gateway.Example.',
])('%s is known', (header) => {
  expect(isKnownHost(header, ['gateway.example'])).toBe(true);
});

it.each([
  '',
  'attacker.example',
  'gateway.example.attacker.example',
  '127.0.0.1.attacker.example',
  '1.2.3',
  '[127.0.0.1]',
  'localhost:80:80',
  'attacker.example/127.0.0.1',
])('"%s" is not', (header) => {
  expect(isKnownHost(header, ['gateway.example'])).toBe(false);
});

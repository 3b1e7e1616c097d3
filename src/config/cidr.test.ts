import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClientRule, isRange, privateRanges } from './cidr.ts';

describe('ClientRule', () => {
  it.each([
    ['10.0.0.0/8', '10.255.1.2', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '::ffff:0a01:0203', true],
    ['10.0.0.0/8', '0:0:0:0:0:ffff:10.1.2.3', true],
    ['10.0.0.0/8', '::ffff:11.1.2.3', false],
    ['10.0.0.0/8', '::ffff:0:10.1.2.3', false],
    ['10.0.0.5', '10.0.0.5', true],
    ['10.0.0.5', '10.0.0.6', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '2001:db8::1', true],
    ['::/0', '203.0.113.9', false],
    ['::/0', '::ffff:203.0.113.9', false],
    ['fd00::/8', 'fd12:3456::1', true],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['fd00::/8', 'fe80::1', false],
    ['::1', '::1', true],
    ['10.0.0.0/8', '', false],
    ['10.0.0.0/8', 'localhost', false],
  ])('%s allows %s: %s', (range, address, allowed) => {
    expect(new ClientRule([range]).allows(address)).toBe(allowed);
  });

  it('allows nobody when empty', () => {
    const rule = new ClientRule([]);
    expect(rule.allows('127.0.0.1')).toBe(false);
    expect(rule.toString()).toBe('nobody');
  });

  it('has loopback and private addresses of both families as its default', () => {
    const rule = new ClientRule(privateRanges);
    for (const address of ['127.0.0.1', '::1', '10.1.1.1', '172.31.0.1', '192.168.1.1', 'fd00::1'])
      expect(rule.allows(address), address).toBe(true);
    for (const address of ['8.8.8.8', '172.32.0.1', '100.64.0.1', '2001:db8::1', 'fe80::1'])
      expect(rule.allows(address), address).toBe(false);
  });

  it.each([
    '',
    '10.0.0.0/33',
    '10.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '::1/129',
    'fe80::1%eth0',
  ])('refuses %j', (text) => {
    expect(isRange(text)).toBe(false);
    expect(() => new ClientRule([text])).toThrow(RangeError);
  });

  it('refuses an IPv4-mapped range, as client addresses are compared as IPv4', () => {
    expect(isRange('::ffff:10.0.0.0/104')).toBe(false);
  });

  it('agrees with arithmetic on IPv4', () => {
    const number = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), (base, address, bits) => {
        const same = (one: string) => Math.floor(number(one) / 2 ** (32 - bits));
        const expected = same(base) === same(address);
        const rule = new ClientRule([`${base}/${bits}`]);
        expect(rule.allows(address)).toBe(expected);
        expect(rule.allows(`::ffff:${address}`)).toBe(expected);
      }),
    );
  });
});

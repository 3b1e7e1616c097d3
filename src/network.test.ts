import { describe, expect, it } from 'vitest';
import { localAddresses } from './network.ts';

describe('the addresses of this machine', () => {
  it('are the one that the server listens at', () => {
    expect(localAddresses('127.0.0.1', undefined)()).toMatchObject([{ address: '127.0.0.1' }]);
  });

  it('leave out loopback and, for a server of IPv4, IPv6', () => {
    for (const { address, index, linkSpeed } of localAddresses('0.0.0.0', undefined)()) {
      expect(address).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
      expect(address).not.toMatch(/^127\./);
      expect(index).toBeGreaterThan(0);
      expect(linkSpeed).toBeGreaterThan(0);
    }
  });

  it('are those of the configuration, even if this machine does not have them', () => {
    const told = localAddresses('0.0.0.0', ['192.0.2.77', '127.0.0.1'])();
    expect(told.map(({ address }) => address)).toEqual(['192.0.2.77', '127.0.0.1']);
  });
});

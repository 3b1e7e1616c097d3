import { Bonjour, type Service } from 'bonjour-service';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { Mdns } from './mdns.ts';

/** Loopback, at a port that is not that of the machine's own mDNS. */
const network = { interface: '127.0.0.1', bind: '0.0.0.0', port: 35_353, loopback: true };

it('announces exports, announces changes, and sends a goodbye', async () => {
  const found = new Map<string, Service>();
  const listener = new Bonjour(network);
  for (const type of ['nfs', 'smb'])
    listener
      .find({ type })
      .on('up', (service: Service) => found.set(`${type} ${service.name}`, service))
      .on('down', (service: Service) => found.delete(`${type} ${service.name}`));
  const mdns = new Mdns({ log: pino({ level: 'silent' }), network });
  const paths = () =>
    [...found]
      .filter(([key]) => key.startsWith('nfs'))
      .map(([, { txt, port }]) => [(txt as { path: string }).path, port]);
  try {
    mdns.announce({ nfs: 2049, smb: 445, exports: ['dfs', 'films'] });
    await expect
      .poll(() => paths().sort(), { timeout: 10_000 })
      .toEqual([
        ['/dfs', 2049],
        ['/films', 2049],
      ]);
    await expect
      .poll(() => [...found].filter(([key]) => key.startsWith('smb')).map(([, { port }]) => port))
      .toEqual([445]);
    mdns.announce({ nfs: 2049, smb: 445, exports: ['dfs'] });
    await expect.poll(() => paths(), { timeout: 10_000 }).toEqual([['/dfs', 2049]]);
    await mdns.close(true);
    await expect.poll(() => found.size, { timeout: 10_000 }).toBe(0);
  } finally {
    listener.destroy();
  }
});

/** Which protocols this build of the gateway serves. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Gateway } from '../kit/gateway.ts';
import type { Protocol } from './lab.ts';

const all: readonly Protocol[] = ['nfs', 'smb'];

/** Asks a gateway of its own. FAULTS_PROTOCOLS (`nfs`, `smb` or `nfs,smb`) names the wanted ones. */
export async function servedProtocols(): Promise<Protocol[]> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-protocols-'));
  const listen = ['--nfs', '127.0.0.1:0', '--smb', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  try {
    const args = ['serve', folder, '--no-expect-fuse', ...listen];
    await using gateway = await Gateway.start({ args, protocols: ['admin'] });
    const served = gateway.log.filter(({ msg }) => msg === 'listening').map(({ protocol }) => protocol);
    const wanted = (process.env['FAULTS_PROTOCOLS'] ?? all.join()).split(',');
    for (const protocol of all) {
      if (!served.includes(protocol)) process.stdout.write(`this build does not serve ${protocol}\n`);
    }
    return all.filter((protocol) => served.includes(protocol) && wanted.includes(protocol));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Which protocols this build of the gateway serves. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Gateway } from '../kit/gateway.ts';
import type { Protocol } from './server.ts';

const all: readonly Protocol[] = ['nfs', 'smb'];

/** FAULTS_PROTOCOLS (`nfs`, `smb` or `nfs,smb`) names them. */
export function wantedProtocols(): Protocol[] {
  const wanted = (process.env['FAULTS_PROTOCOLS'] ?? all.join()).split(',');
  return all.filter((protocol) => wanted.includes(protocol));
}

/** Those of the wanted protocols that a gateway started for this check serves. */
export async function servedProtocols(): Promise<Protocol[]> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-protocols-'));
  const listen = ['--nfs', '127.0.0.1:0', '--smb', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  try {
    const args = ['serve', folder, '--no-expect-fuse', ...listen];
    await using gateway = await Gateway.start({ args, protocols: ['admin'] });
    const served = gateway.log.filter(({ msg }) => msg === 'listening').map(({ protocol }) => protocol);
    for (const protocol of all) {
      if (!served.includes(protocol)) process.stdout.write(`this build does not serve ${protocol}\n`);
    }
    return wantedProtocols().filter((protocol) => served.includes(protocol));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

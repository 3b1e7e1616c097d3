/** What `serve` and `demo` have in common: start, tell, wait, stop. */
import type { Config, ExportConfig } from '../config/index.ts';
import { startGateway, type Gateway } from '../gateway.ts';
import type { Logger } from '../log/index.ts';
import { audience } from './audience.ts';
import { nfsLines, reachableHost, smbLines } from './mount-lines.ts';

/** Starts the gateway and logs where it listens and who can read what. */
export async function startServing(config: Config, log: Logger): Promise<Gateway> {
  const gateway = await startGateway(config, log);
  for (const { protocol, host, port } of gateway.addresses) log.info({ protocol, host, port }, 'listening');
  const protocols = new Set(gateway.addresses.map(({ protocol }) => protocol));
  for (const one of config.exports) log.info({ export: one.name }, audience(one, protocols));
  return gateway;
}

/** How to mount each export by each protocol that the gateway serves, one command for each. */
export function mountCommands(
  config: Config,
  { addresses }: Gateway,
  mountpoint: (entry: ExportConfig) => string,
): string[] {
  return config.exports.flatMap((entry) =>
    (['nfs', 'smb'] as const).flatMap((protocol) => {
      // The first address of NFS is its own, the second that of MOUNT, which the first one answers as well.
      const address = addresses.find((one) => one.protocol === protocol);
      if (!address) return [];
      const { name } = entry;
      const target = {
        name,
        host: reachableHost(address.host),
        port: address.port,
        mountpoint: mountpoint(entry),
      };
      const lines = protocol === 'nfs' ? nfsLines(target) : smbLines(target, entry.smb.guest);
      return [lines.command];
    }),
  );
}

/** Resolves with the first of the signals. A second one ends the process at once, as by default. */
export function untilSignal(signals: readonly NodeJS.Signals[]): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals) => {
      for (const one of signals) process.off(one, stop);
      resolve(signal);
    };
    for (const one of signals) process.on(one, stop);
  });
}

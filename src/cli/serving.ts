/** What the commands that serve have in common: start, tell, read the configuration again, wait, end. */
import { ConfigError, type Config, type ExportConfig } from '../config/index.ts';
import { startGateway, type Gateway } from '../gateway.ts';
import type { Logger } from '../log/index.ts';
import type { Listeners } from '../takeover/listeners.ts';
import { audience } from './audience.ts';
import { nfsLines, reachableHost, smbLines } from './mount-lines.ts';

/** Starts the gateway and logs where it listens and who can read what. */
export async function startServing(config: Config, log: Logger, listeners?: Listeners): Promise<Gateway> {
  const gateway = await startGateway(config, log, listeners);
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

/** Reads the configuration again and serves what it says; one that is refused changes nothing. Never rejects. */
export async function reload(
  gateway: Promise<Gateway> | Gateway,
  read: () => Config,
  log: Logger,
): Promise<void> {
  try {
    await (await gateway).reload(read());
  } catch (error) {
    const about =
      error instanceof ConfigError ? { reason: error.message.replaceAll('\n', '; ') } : { err: error };
    log.error(about, 'the configuration is refused: the one before stays in force');
  }
}

/** How long what is still open may keep a process from ending, in ms. */
const exitTimeout = 1000;

/**
 * Ends the process, which has nothing more to do, with this code in about a second, if it does not end by itself. At its
 * end libuv waits for its threads, for ever when a call hangs in the kernel. Such a process gets SIGKILL, which is exit
 * code 137 to a shell. Even that does not end a call that a FUSE daemon has taken up, so the process stays a zombie until
 * the daemon answers or ends; but what it held, sockets above all, was closed before.
 */
export function endSoon(code: number, gateway: Gateway | undefined, log: Logger): void {
  setTimeout(() => {
    const calls = gateway?.callsInKernel ?? 0;
    if (calls === 0) process.exit(code);
    log.warn({ calls, exitCode: 137 }, 'calls to the source hang: ending by SIGKILL');
    process.kill(process.pid, 'SIGKILL');
  }, exitTimeout).unref();
}

/** Functions that the commands with a gateway share. */
import { ConfigError, type Config, type ExportConfig } from '../config/index.ts';
import { startGateway, type Gateway } from '../gateway.ts';
import type { Logger } from '../log/index.ts';
import type { Listeners } from '../takeover/listeners.ts';
import { audience } from './audience.ts';
import { listenError } from './listen-error.ts';
import { nfsLines, reachableHost, smbLines } from './mount-lines.ts';

/** Starts the gateway and logs where it listens and who can read what. */
export async function startServing(config: Config, log: Logger, listeners?: Listeners): Promise<Gateway> {
  const gateway = await startGateway(config, log, listeners).catch((error: unknown) => {
    throw listenError(error, config);
  });
  for (const { protocol, host, port } of gateway.addresses) log.info({ protocol, host, port }, 'listening');
  const protocols = new Set(gateway.addresses.map(({ protocol }) => protocol));
  for (const one of config.exports) log.info({ export: one.name }, audience(one, protocols));
  return gateway;
}

/** The mount commands for clients: one for each export and protocol. */
export function mountCommands(
  config: Config,
  { addresses }: Gateway,
  mountpoint: (entry: ExportConfig) => string,
): string[] {
  return config.exports.flatMap((entry) =>
    (['nfs', 'smb'] as const).flatMap((protocol) => {
      // The first address of `nfs` is the NFS port, which answers MOUNT too; a second one is a separate port for MOUNT.
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

/** Reads the configuration again and applies it. An invalid one changes nothing. Never rejects. */
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

/** How long open handles may keep the process alive after its end, in ms. */
const exitTimeout = 1000;

/**
 * Ends the process with this exit code after `exitTimeout`, unless it ends by itself before. At exit, libuv waits for its
 * threads: for ever, if a call hangs in the kernel. In that case the process ends by SIGKILL (exit code 137 in a shell). A call
 * that a FUSE daemon has accepted does not end even then: the process stays a zombie until the daemon answers or ends. But its
 * sockets and files are closed.
 */
export function endSoon(code: number, gateway: Gateway | undefined, log: Logger): void {
  setTimeout(() => {
    const calls = gateway?.callsInKernel ?? 0;
    if (calls === 0) process.exit(code);
    log.warn({ calls, exitCode: 137 }, 'calls to the source hang: ending by SIGKILL');
    process.kill(process.pid, 'SIGKILL');
  }, exitTimeout).unref();
}

import { loadConfig } from '../config/index.ts';
import { createLogger } from '../log/index.ts';
import { takeInheritance } from '../takeover/inheritance.ts';
import { ExitCode, type Command } from './command.ts';
import { configFlags, drainFlag, exportFlags, pidFileFlag, seconds, serverFlags } from './flags.ts';
import { cannotWrite } from './file-problem.ts';
import { untilSignal } from './signal.ts';

/** Default in seconds: less than the 30 s that Kubernetes allows between SIGTERM and SIGKILL (terminationGracePeriodSeconds). */
const drainTimeout = 25;

export const serve: Command = {
  name: 'serve',
  usage: '[PATH] [options]',
  summary: 'serve the FUSE tree mounted at PATH, or the exports of a configuration file',
  description: `Serves the FUSE mount at PATH read-only, to loopback and private addresses: over NFSv3 (MOUNT is on the same
port, so no portmapper is needed) and over SMB as a guest share. While nothing is mounted at PATH, clients
wait; they never see the empty folder underneath.
SIGTERM or SIGINT: finishes running requests, then ends; a second signal ends it at once. The exit code is 0,
or 137 (SIGKILL) if a call to the tree still hangs. The kernel then keeps the process as a zombie without
sockets until the tree answers or is gone; another process may serve in its place meanwhile.
SIGHUP: reads the configuration again. Exports, access rules and the log level change; clients stay connected.
SIGUSR2: starts the same command line again, from the program on disk, and passes on the listening sockets.
Once the new process serves, this one finishes its requests and ends. If the new process fails, or does not
serve within 30 s, this one continues.`,
  positionals: { names: ['PATH'], required: 0 },
  flags: [
    ...exportFlags,
    ...serverFlags,
    { name: 'no-expect-fuse', help: 'PATH is a plain folder: serve it without a FUSE mount' },
    drainFlag(drainTimeout),
    pidFileFlag,
  ],
  examples: [
    ['holdfast serve /mnt/dfs', 'the FUSE mount at /mnt/dfs, as export dfs'],
    ['holdfast serve /srv/films --name films --no-expect-fuse', 'a plain folder'],
    ['holdfast serve --config /etc/holdfast.yaml', 'the exports of the file'],
    ['kill -USR2 $(cat /run/holdfast.pid)', 'upgrade a gateway that has --pid-file /run/holdfast.pid'],
  ],

  async run(invocation, terminal) {
    const inheritance = takeInheritance(terminal.env);
    const read = () =>
      loadConfig({ flags: configFlags(invocation, invocation.positionals[0]), env: terminal.env });
    const timeoutMs = seconds(invocation, 'drain-timeout', drainTimeout) * 1000;
    const config = read();
    const log = createLogger(config.log.level);
    const { Listeners, removePidFile, Takeover, writePidFile } = await import('../takeover/index.ts');
    const { endSoon, mountCommands, reload, startServing } = await import('./serving.ts');

    const stopped = untilSignal(['SIGTERM', 'SIGINT']);
    const started = startServing(config, log, new Listeners(inheritance?.sockets));
    const takeover = new Takeover({ sockets: async () => (await started).sockets, log });
    process.on('SIGUSR2', () => void takeover.begin());
    process.on('SIGHUP', () => void reload(started, read, log));

    const gateway = await started;
    const pidFile = invocation.text('pid-file');
    try {
      if (pidFile !== undefined) placePidFile(pidFile, writePidFile);
      inheritance?.accept(gateway.sockets);
      if (terminal.interactive && !inheritance) {
        const commands = mountCommands(config, gateway, ({ path }) => path);
        terminal.out(`\nOn another machine, as root:\n${commands.map((line) => `  ${line}\n`).join('')}\n`);
      }
      const signal = await Promise.race([stopped, takeover.done]);
      if (signal !== undefined) log.info({ signal }, 'asked to stop');
      takeover.cancel();
      await gateway.close({ timeoutMs, handedOver: signal === undefined });
    } catch (error) {
      // A gateway that keeps running without its command could not be stopped by a signal.
      takeover.cancel();
      await gateway.close({ timeoutMs: 0, handedOver: inheritance !== undefined }).catch(() => undefined);
      endSoon(ExitCode.failed, gateway, log);
      throw error;
    }
    if (pidFile !== undefined) removePidFile(pidFile);
    endSoon(ExitCode.done, gateway, log);
    return ExitCode.done;
  },
};

function placePidFile(file: string, write: (file: string) => void): void {
  try {
    write(file);
  } catch (error) {
    throw new Error(`--pid-file: ${cannotWrite(file, error)}`, { cause: error });
  }
}

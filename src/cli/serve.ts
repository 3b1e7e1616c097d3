import { loadConfig } from '../config/index.ts';
import { createLogger } from '../log/index.ts';
import { takeInheritance } from '../takeover/inheritance.ts';
import { ExitCode, type Command } from './command.ts';
import { configFlags, drainFlag, exportFlags, pidFileFlag, seconds, serverFlags } from './flags.ts';
import { untilSignal } from './signal.ts';

/** Seconds: less than the 30 that Kubernetes leaves between SIGTERM and SIGKILL (terminationGracePeriodSeconds). */
const drainTimeout = 25;

export const serve: Command = {
  name: 'serve',
  usage: '[PATH] [options]',
  summary: 'serve the FUSE tree mounted at PATH, or what a configuration file names',
  description: `Waits for or finds the FUSE mount at PATH and serves it read-only: over NFSv3 (MOUNT is answered on the same
port, so that no portmapper is needed) and over SMB as a guest share, to loopback and private addresses.
While nothing is mounted there, clients wait; they never see the empty folder underneath.
SIGTERM or SIGINT finishes what was asked, then ends; a second one ends at once. The exit code is 0, or 137
(by SIGKILL) if a call to the tree still hangs then. The kernel keeps such a process as a zombie without
sockets until the tree answers or is gone; another one may serve in its place meanwhile.
SIGHUP reads the configuration again: exports, who may read them, and the log level change; clients stay
connected.
SIGUSR2 starts this command line anew, from the program on disk, with the sockets that listen. Once the new
process serves, this one finishes and ends; if that takes longer than 30 s or fails, this one goes on.`,
  positionals: { names: ['PATH'], required: 0 },
  flags: [
    ...exportFlags,
    ...serverFlags,
    { name: 'no-expect-fuse', help: 'PATH is a plain folder, served as it is' },
    drainFlag(drainTimeout),
    pidFileFlag,
  ],
  examples: [
    ['holdfast serve /mnt/dfs', 'the FUSE mount at /mnt/dfs, as export dfs'],
    ['holdfast serve /srv/films --name films --no-expect-fuse', 'a plain folder'],
    ['holdfast serve --config /etc/holdfast.yaml', 'what the file says'],
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
    if (pidFile !== undefined) writePidFile(pidFile);
    inheritance?.accept(gateway.sockets);
    if (terminal.interactive && !inheritance) {
      const commands = mountCommands(config, gateway, ({ path }) => path);
      terminal.out(`\nOn another machine, as root:\n${commands.map((line) => `  ${line}\n`).join('')}\n`);
    }

    const signal = await Promise.race([stopped, takeover.done]);
    if (signal !== undefined) log.info({ signal }, 'asked to stop');
    takeover.cancel();
    await gateway.close({ timeoutMs, handedOver: signal === undefined });
    if (pidFile !== undefined) removePidFile(pidFile);
    endSoon(ExitCode.done, gateway, log);
    return ExitCode.done;
  },
};

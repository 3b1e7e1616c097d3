import { loadConfig } from '../config/index.ts';
import { createLogger } from '../log/index.ts';
import { ExitCode, type Command } from './command.ts';
import { configFlags, exportFlags, serverFlags } from './flags.ts';

export const serve: Command = {
  name: 'serve',
  usage: '[PATH] [options]',
  summary: 'serve the FUSE tree mounted at PATH, or what a configuration file names',
  description: `Waits for or finds the FUSE mount at PATH and serves it read-only: over NFSv3 (MOUNT is answered on the same
port, so that no portmapper is needed) and over SMB as a guest share, to loopback and private addresses.
While nothing is mounted there, clients wait; they never see the empty folder underneath.
SIGTERM or SIGINT finishes what was asked, then ends; a second one ends at once.`,
  positionals: { names: ['PATH'], required: 0 },
  flags: [
    ...exportFlags,
    ...serverFlags,
    { name: 'no-expect-fuse', help: 'PATH is a plain folder, served as it is' },
  ],
  examples: [
    ['holdfast serve /mnt/dfs', 'the FUSE mount at /mnt/dfs, as export dfs'],
    ['holdfast serve /srv/films --name films --no-expect-fuse', 'a plain folder'],
    ['holdfast serve --config /etc/holdfast.yaml', 'what the file says'],
  ],

  async run(invocation, terminal) {
    const config = loadConfig({
      flags: configFlags(invocation, invocation.positionals[0]),
      env: terminal.env,
    });
    const log = createLogger(config.log.level);
    const { mountCommands, startServing, untilSignal } = await import('./serving.ts');
    const stopped = untilSignal(['SIGTERM', 'SIGINT']);
    const gateway = await startServing(config, log);
    if (terminal.interactive) {
      const commands = mountCommands(config, gateway, ({ path }) => path);
      terminal.out(`\nOn another machine, as root:\n${commands.map((line) => `  ${line}\n`).join('')}\n`);
    }
    log.info({ signal: await stopped }, 'asked to stop');
    await gateway.close();
    return ExitCode.done;
  },
};

import { loadConfig } from '../config/index.ts';
import type { Gateway } from '../gateway.ts';
import { createLogger } from '../log/index.ts';
import { outputModes, processSpawner, restartPolicies, runBelowInit, supervise } from '../supervise/index.ts';
import { UsageError, type Command, type Invocation } from './command.ts';
import { configFlags, drainFlag, exportFlags, seconds, serverFlags } from './flags.ts';

/**
 * Seconds. Together less than the 30 that Kubernetes leaves between SIGTERM and SIGKILL
 * (terminationGracePeriodSeconds).
 */
const drainTimeout = 20;
const stopTimeout = 8;

export const run: Command = {
  name: 'run',
  usage: '[PATH] [options] -- CMD [ARG…]',
  summary: 'start CMD, which mounts the FUSE tree at PATH, and serve the tree as long as CMD runs',
  description: `Starts CMD and serves PATH as serve does, from the first moment on: until CMD has mounted its tree, and while
CMD is started again, clients wait. The exit code is that of CMD, 128 + n if signal n ended it.
SIGTERM, SIGINT and SIGQUIT: what clients asked for is finished while CMD still serves its tree, then CMD gets the
signal; a second one no longer waits for clients, a third one kills CMD.
SIGHUP reads the configuration again: exports, who may read them, and the log level change; clients stay
connected. SIGUSR1 and SIGUSR2 go to CMD: a gateway that is to be replaced without a gap runs as serve, with
CMD beside it, since a running CMD cannot be handed to another parent.
As PID 1 of a container it also sees to orphans, by tini, dumb-init, a shell or perl, whichever is there.`,
  positionals: { names: ['PATH'], required: 0, rest: 'CMD' },
  flags: [
    ...exportFlags,
    ...serverFlags,
    { name: 'no-expect-fuse', help: 'PATH is a plain folder, served as it is' },
    {
      name: 'restart',
      value: 'POLICY',
      help: 'when CMD ends, start it again: always (default), on-failure or never',
    },
    {
      name: 'after-crash',
      value: 'COMMAND',
      help: 'a shell command to run before CMD is started again after a crash',
    },
    {
      name: 'child-output',
      value: 'MODE',
      help: 'inherit (default): CMD writes where Holdfast does; log: as lines of the log',
    },
    drainFlag(drainTimeout),
    {
      name: 'stop-timeout',
      value: 'SECONDS',
      help: `how long CMD may take to end before it is killed (default ${stopTimeout})`,
    },
    { name: 'forward-hup', help: 'hand SIGHUP to CMD as well, which it ends unless CMD knows it' },
  ],
  examples: [
    ['holdfast run /mnt/dfs -- decypharr --config /config', 'Decypharr and its tree'],
    ['holdfast run --config /etc/holdfast.yaml --restart on-failure -- decypharr', 'what the file says'],
    ["holdfast run /mnt/dfs --after-crash 'rm -rf /cache/*' -- decypharr", 'without a killed one’s cache'],
  ],

  async run(invocation, terminal) {
    const settings = {
      restart: choice(invocation, 'restart', restartPolicies),
      drainMs: seconds(invocation, 'drain-timeout', drainTimeout) * 1000,
      graceMs: seconds(invocation, 'stop-timeout', stopTimeout) * 1000,
      forwardHangup: invocation.has('forward-hup'),
    };
    const output = choice(invocation, 'child-output', outputModes);
    const load = () =>
      loadConfig({ flags: configFlags(invocation, invocation.positionals[0]), env: terminal.env });
    const config = load();
    let current = config;
    const read = () => (current = load());
    const log = createLogger(config.log.level);
    const below = await runBelowInit(log);
    if (below !== undefined) return below;
    const command = invocation.rest as [string, ...string[]];
    const spawner = (program: [string, ...string[]]) =>
      processSpawner({ command: program, output, withhold: () => current.secretVariables, log });
    const cleanUp = invocation.text('after-crash');
    let gateway: Gateway | undefined;
    // The child does not wait for the gateway's modules.
    const startGateway = async () => {
      const { reload, startServing } = await import('./serving.ts');
      const started = await startServing(config, log);
      gateway = started;
      process.on('SIGHUP', () => void reload(started, read, log));
      return { close: () => started.close({ timeoutMs: settings.drainMs }) };
    };
    const code = await supervise({
      ...settings,
      spawn: spawner(command),
      afterCrash: cleanUp === undefined ? undefined : spawner(['/bin/sh', '-c', cleanUp]),
      startGateway,
      log,
    });
    (await import('./serving.ts')).endSoon(code, gateway, log);
    return code;
  },
};

/** The first is the default. */
function choice<const T extends string>(
  invocation: Invocation,
  flag: string,
  values: readonly [T, ...T[]],
): T {
  const text = invocation.text(flag);
  const found = text === undefined ? values[0] : values.find((value) => value === text);
  if (found === undefined) throw new UsageError(`--${flag}: ${text!} is not one of ${values.join(', ')}`);
  return found;
}

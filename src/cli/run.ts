import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { loadConfig, type ChildConfig } from '../config/index.ts';
import type { Gateway } from '../gateway.ts';
import { createLogger } from '../log/index.ts';
import { mountReader } from '../source/mount-reader.ts';
import {
  outputModes,
  processSpawner,
  restartPolicies,
  runBelowInit,
  supervise,
  type ChildPlan,
  type OutputMode,
  type ProcessOptions,
} from '../supervise/index.ts';
import { fromText } from '../tree/names.ts';
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
  usage: '[PATH] [options] [-- CMD [ARG…]]',
  summary: 'start CMD, which mounts the FUSE tree at PATH, and serve the tree as long as CMD runs',
  description: `Starts CMD and serves PATH as serve does, from the first moment on: until CMD has mounted its tree, and while
CMD is started again, clients wait. The exit code is that of CMD, 128 + n if signal n ended it.
SIGTERM, SIGINT and SIGQUIT: what clients asked for is finished while CMD still serves its tree, then CMD gets the
signal; a second one no longer waits for clients, a third one kills CMD.
SIGHUP reads the configuration again: exports, who may read them, and the log level change; clients stay
connected. SIGUSR1 and SIGUSR2 go to CMD: a gateway that is to be replaced without a gap runs as serve, with
CMD beside it, since a running CMD cannot be handed to another parent.
Without CMD the children that the configuration names under run are started in their order, each when the mount of
the one before is there, or after a minute. Each is started again by itself, and what they write is in the log with
their names. They are stopped in the opposite order. Holdfast ends when all have ended for good, or when one cannot
be run at all; the exit code is that of the first in the list that did not end with 0.
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
      help: 'inherit (default with CMD): it writes where Holdfast does; log: as lines of the log',
    },
    drainFlag(drainTimeout),
    {
      name: 'stop-timeout',
      value: 'SECONDS',
      help: `how long CMD, or all children, may take to end before SIGKILL (default ${stopTimeout})`,
    },
    { name: 'forward-hup', help: 'hand SIGHUP to CMD as well, which it ends unless CMD knows it' },
  ],
  examples: [
    ['holdfast run /mnt/dfs -- decypharr --config /config', 'Decypharr and its tree'],
    ['holdfast run --config /etc/holdfast.yaml --restart on-failure -- decypharr', 'what the file says'],
    ['holdfast run --config /etc/holdfast.yaml', 'the children that the file names'],
    ["holdfast run /mnt/dfs --after-crash 'rm -rf /cache/*' -- decypharr", 'without a killed one’s cache'],
  ],

  async run(invocation, terminal) {
    const settings = {
      drainMs: seconds(invocation, 'drain-timeout', drainTimeout) * 1000,
      graceMs: seconds(invocation, 'stop-timeout', stopTimeout) * 1000,
      forwardHangup: invocation.has('forward-hup'),
    };
    const plan = {
      command: commandOf(invocation, terminal.env),
      restart: choice(invocation, 'restart', restartPolicies),
      output: invocation.has('child-output') ? choice(invocation, 'child-output', outputModes) : undefined,
      afterCrash: invocation.text('after-crash'),
    };
    const load = () =>
      loadConfig({ flags: configFlags(invocation, invocation.positionals[0]), env: terminal.env });
    const config = load();
    let current = config;
    const read = () => (current = load());
    const log = createLogger(config.log.level);
    const children = childrenOf(plan, config.run, { withhold: () => current.secretVariables, log });
    const below = await runBelowInit(log);
    if (below !== undefined) return below;
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
      children,
      mountAt,
      startGateway,
      log,
    });
    (await import('./serving.ts')).endSoon(code, gateway, log);
    return code;
  },
};

/** Flags that speak of CMD. */
const commandFlags = ['restart', 'after-crash'];

/** Undefined when the configuration names the children. */
function commandOf(
  invocation: Invocation,
  env: NodeJS.ProcessEnv,
): readonly [string, ...string[]] | undefined {
  const [program, ...args] = invocation.rest;
  if (program !== undefined) return [program, ...args];
  if (!invocation.has('config') && !env['HOLDFAST_CONFIG'])
    throw new UsageError('CMD is missing: it comes after --');
  for (const flag of commandFlags)
    if (invocation.has(flag))
      throw new UsageError(`--${flag} needs CMD: children of the file have their own`);
  return undefined;
}

interface RunPlan extends Pick<ChildPlan, 'restart'> {
  readonly command: readonly [string, ...string[]] | undefined;
  readonly output: OutputMode | undefined;
  readonly afterCrash: string | undefined;
}

/** The command line, or what the configuration names. */
function childrenOf(
  { command, restart, output, afterCrash }: RunPlan,
  run: readonly ChildConfig[],
  options: Pick<ProcessOptions, 'withhold' | 'log'>,
): ChildPlan[] {
  const children: readonly (Omit<ChildConfig, 'name'> & { readonly name?: string })[] = command
    ? [{ command, restart, afterCrash, mount: undefined }]
    : run;
  if (children.length === 0)
    throw new UsageError('CMD is missing: it comes after --, and the configuration names no children (run)');
  const mode = output ?? (command ? 'inherit' : 'log');
  return children.map(({ name, ...child }) => {
    const label = name === undefined ? {} : { name };
    const spawner = (one: readonly [string, ...string[]]) =>
      processSpawner({ ...options, ...label, command: one, output: mode });
    return {
      ...label,
      spawn: spawner(child.command),
      restart: child.restart,
      afterCrash: child.afterCrash === undefined ? undefined : spawner(['/bin/sh', '-c', child.afterCrash]),
      mount: child.mount,
    };
  });
}

/** The id of the mount at just this path, which is not asked itself: it may hang. */
async function mountAt(path: string): Promise<number | undefined> {
  const place = join(await realpath(dirname(path)), basename(path));
  const mount = (await mountReader.fresh()).at(fromText(place));
  return mount?.mountpoint === fromText(place) ? mount.id : undefined;
}

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

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
 * Defaults in seconds. Their sum is less than the 30 s that Kubernetes allows between SIGTERM and SIGKILL
 * (terminationGracePeriodSeconds).
 */
const drainTimeout = 20;
const stopTimeout = 8;

export const run: Command = {
  name: 'run',
  usage: '[PATH] [options] [-- CMD [ARG…]]',
  summary: 'start CMD, which mounts the FUSE tree at PATH, and serve the tree while CMD runs',
  description: `Starts CMD, and serves PATH as serve does. Until CMD has mounted its tree, and while CMD restarts, clients wait.
The exit code is that of CMD, or 128 + n if signal n ended it.
SIGTERM, SIGINT and SIGQUIT: running requests finish while CMD still serves its tree, then CMD gets the signal.
A second signal stops the wait for clients, a third one kills CMD.
SIGHUP: reads the configuration again. Exports, access rules and the log level change; clients stay connected.
SIGUSR1 and SIGUSR2: are passed to CMD. To replace a gateway without a gap, use serve, and start CMD separately:
a running CMD cannot be passed to another parent process.
Without CMD, the children listed under run in the configuration are started in order, each when the mount of the
one before is present, or after a minute. Each is restarted separately, and its output is logged with its name.
They are stopped in the opposite order. Holdfast ends when all have ended for good, or when one cannot be
started at all. The exit code is that of the first child in the list that did not end with 0.
As PID 1 of a container it also reaps orphans, by tini, dumb-init, a shell or perl, whichever is present.`,
  positionals: { names: ['PATH'], required: 0, rest: 'CMD' },
  flags: [
    ...exportFlags,
    ...serverFlags,
    { name: 'no-expect-fuse', help: 'PATH is a plain folder: serve it without a FUSE mount' },
    {
      name: 'restart',
      value: 'POLICY',
      help: 'when to restart CMD after it has ended: always (default), on-failure or never',
    },
    {
      name: 'after-crash',
      value: 'COMMAND',
      help: 'a shell command to run after a crash of CMD, before CMD is restarted',
    },
    {
      name: 'child-output',
      value: 'MODE',
      help: 'output: inherit (default with CMD): to the same place as Holdfast; log: as log lines',
    },
    drainFlag(drainTimeout),
    {
      name: 'stop-timeout',
      value: 'SECONDS',
      help: `how long CMD, or all children, may take to end before SIGKILL (default ${stopTimeout})`,
    },
    { name: 'forward-hup', help: 'pass SIGHUP to CMD too; it ends CMD unless CMD handles it' },
  ],
  examples: [
    ['holdfast run /mnt/dfs -- decypharr --config /config', 'Decypharr and its tree'],
    ['holdfast run --config /etc/holdfast.yaml --restart on-failure -- decypharr', 'the exports of the file'],
    ['holdfast run --config /etc/holdfast.yaml', 'the children and exports of the file'],
    ["holdfast run /mnt/dfs --after-crash 'rm -rf /cache/*' -- decypharr", 'empties the cache after a crash'],
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
    // Load the gateway's modules late, so that they do not delay the start of the child.
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

/** Flags that need CMD. */
const commandFlags = ['restart', 'after-crash'];

/** The command after `--`; undefined if the configuration names the children. */
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

/** The children to start: CMD, or those of the configuration. */
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

/** The id of the mount exactly at this path. Does not access the mount itself, as it may hang. */
async function mountAt(path: string): Promise<number | undefined> {
  const place = join(await realpath(dirname(path)), basename(path));
  const mount = (await mountReader.fresh()).at(fromText(place));
  return mount?.mountpoint === fromText(place) ? mount.id : undefined;
}

/** The value of a flag with a fixed set of values. The first is the default. */
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

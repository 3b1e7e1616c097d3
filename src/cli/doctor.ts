import { plural } from '../admin/format.ts';
import type { Status } from '../admin/status.ts';
import { loadConfig, type Config } from '../config/index.ts';
import type { Finding } from '../doctor/index.ts';
import { adminClient, adminFlags } from './admin-client.ts';
import { ExitCode, UsageError, type Command, type Invocation, type Terminal } from './command.ts';
import { configFlags, serverOf } from './flags.ts';

export const doctor: Command = {
  name: 'doctor',
  usage: '[PATH] [options]',
  summary: 'find problems of a client machine, or of the machine of a gateway',
  description: `Without PATH and --config it checks this machine as a client: kernel, mounts and their options, namespaces,
the network path to the gateway, clocks. With one of them it checks this machine as the gateway that serves
PATH or the configuration: FUSE, the mount, limits, ports, memory, secrets. Each finding says what it is, why
it matters, and the command that fixes it. The doctor changes nothing, and never accesses a mount, which may
hang. The exit code is 1 if there is a problem, and 0 if there are at most warnings.`,
  positionals: { names: ['PATH'], required: 0 },
  flags: [
    ...adminFlags,
    {
      name: 'server',
      value: 'HOST[:PORT]',
      help: 'a gateway that this machine should reach (default ports 2049 and 445)',
    },
    { name: 'json', help: 'print JSON, for programs' },
  ],
  examples: [
    ['holdfast doctor', 'on a client machine'],
    ['holdfast doctor --server 10.43.7.9', 'also checks whether it reaches that gateway'],
    ['holdfast doctor --config /etc/holdfast.yaml', "on the gateway's machine"],
  ],

  async run(invocation, terminal) {
    const findings = await look(invocation, terminal);
    terminal.out(invocation.has('json') ? `${JSON.stringify(findings, null, 2)}\n` : text(findings));
    return findings.some(({ level }) => level === 'problem') ? ExitCode.failed : ExitCode.done;
  },
};

async function look(invocation: Invocation, terminal: Terminal): Promise<Finding[]> {
  const { clientFindings, gatewayFindings, thisMachine } = await import('../doctor/index.ts');
  const machine = thisMachine(terminal.env);
  const [path] = invocation.positionals;
  const named = invocation.text('server');
  const server = named === undefined ? undefined : serverOf(named);
  const isGateway = path !== undefined || invocation.text('config') !== undefined;
  if (isGateway && server !== undefined)
    throw new UsageError('--server is for a node that mounts: leave PATH and --config out');
  const flags = configFlags(invocation, path ?? (isGateway ? undefined : '/'));
  const config = loadConfig({ flags, env: isGateway ? terminal.env : {}, elsewhere: !isGateway });
  if (isGateway)
    return await gatewayFindings(machine, {
      config,
      isRunning: await isRunning(invocation, terminal, config),
    });
  const { nfs, smb, admin } = config;
  const ports = { nfs: nfs.listen.port, smb: smb.listen.port, admin: admin.listen.port };
  return await clientFindings(machine, { server, ports });
}

/** Whether the gateway that answers at the admin port serves the same exports at the same ports. */
async function isRunning(invocation: Invocation, terminal: Terminal, config: Config): Promise<boolean> {
  let answer: Partial<Status>;
  try {
    answer = (await adminClient(invocation, terminal.env).get('/api/status')) as Partial<Status>;
  } catch {
    return false;
  }
  // A gateway that keeps its paths from this client has another token, so it is another one.
  const { exports = [], listening = [] } = answer;
  const listens = (protocol: string, port: number) =>
    port === 0 || listening.some((one) => one.protocol === protocol && one.port === port);
  return (
    config.exports.every(({ name, path }) => exports.some((one) => one.name === name && one.path === path)) &&
    (['nfs', 'smb', 'admin'] as const).every((protocol) => listens(protocol, config[protocol].listen.port))
  );
}

const marks = { problem: 'PROBLEM', warning: 'warning', ok: 'ok     ' } as const;

/** Problems first, then warnings. */
function text(findings: readonly Finding[]): string {
  const lines = (['problem', 'warning', 'ok'] as const).flatMap((level) =>
    findings
      .filter((one) => one.level === level)
      .flatMap(({ what, why, fix }) => [
        `${marks[level]}  ${what}`,
        ...(why === undefined ? [] : [`         why:  ${why}`]),
        ...(fix === undefined ? [] : [`         fix:  ${fix}`]),
      ]),
  );
  const count = (level: Finding['level']) => findings.filter((one) => one.level === level).length;
  const sum = [
    plural(count('problem'), 'problem'),
    plural(count('warning'), 'warning'),
    `${plural(count('ok'), 'check')} passed`,
  ].join(', ');
  return `${lines.join('\n')}\n\n${sum}\n`;
}

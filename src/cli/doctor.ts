import { loadConfig, type Config } from '../config/index.ts';
import type { Finding } from '../doctor/index.ts';
import { adminClient, adminFlags } from './admin-client.ts';
import { ExitCode, UsageError, type Command, type Invocation, type Terminal } from './command.ts';
import { configFlags } from './flags.ts';

export const doctor: Command = {
  name: 'doctor',
  usage: '[PATH] [options]',
  summary: 'find what is wrong with a node that mounts, or with the machine of a gateway',
  description: `Without PATH and --config it looks at this machine as a client: kernel, mounts and their options,
namespaces, the way to the gateway, the clocks. With one of them it looks at the machine of the gateway
that serves that: FUSE, the mount, limits, ports, memory, secrets. Each finding says what it is, why it
matters, and the command that mends it. It changes nothing, and never touches a mount, which may hang.
The exit code is 1 when there is a problem, and 0 when there are warnings at most.`,
  positionals: { names: ['PATH'], required: 0 },
  flags: [
    ...adminFlags,
    { name: 'server', value: 'HOST', help: 'a gateway that this node should reach' },
    { name: 'json', help: 'as JSON, for programs' },
  ],
  examples: [
    ['holdfast doctor', 'on a node with mounts'],
    ['holdfast doctor --server 10.43.7.9', 'and whether it reaches that gateway'],
    ['holdfast doctor --config /etc/holdfast.yaml', 'beside the gateway'],
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
  const server = invocation.text('server');
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

/** Whether what answers at the admin port serves the same exports. */
async function isRunning(invocation: Invocation, terminal: Terminal, config: Config): Promise<boolean> {
  try {
    const answer = (await adminClient(invocation, terminal.env).get('/readyz')) as {
      exports: readonly { name: string }[];
    };
    const served = new Set(answer.exports.map(({ name }) => name));
    return config.exports.every(({ name }) => served.has(name));
  } catch {
    return false;
  }
}

const marks = { problem: 'PROBLEM', warning: 'warning', ok: 'ok     ' } as const;

/** The worst first. */
function text(findings: readonly Finding[]): string {
  const lines = (['problem', 'warning', 'ok'] as const).flatMap((level) =>
    findings
      .filter((one) => one.level === level)
      .flatMap(({ what, why, mend }) => [
        `${marks[level]}  ${what}`,
        ...(why === undefined ? [] : [`         why:  ${why}`]),
        ...(mend === undefined ? [] : [`         mend: ${mend}`]),
      ]),
  );
  const count = (level: Finding['level']) => findings.filter((one) => one.level === level).length;
  const sum = `${count('problem')} problems, ${count('warning')} warnings, ${count('ok')} things in order`;
  return `${lines.join('\n')}\n\n${sum}\n`;
}

import { loadConfig, type Config } from '../config/index.ts';
import type { Finding } from '../doctor/index.ts';
import { adminClient, adminFlags } from './admin-client.ts';
import { ExitCode, UsageError, type Command, type Invocation, type Terminal } from './command.ts';
import { configFlags } from './flags.ts';

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
    { name: 'server', value: 'HOST', help: 'a gateway that this machine should reach' },
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

/** Whether a gateway with the same exports answers at the admin port. */
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

/** Problems first, then warnings. */
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

import { adminClient, adminFlags } from './admin-client.ts';
import { ExitCode, type Command } from './command.ts';

export const forget: Command = {
  name: 'forget',
  usage: 'EXPORT [MOUNT] [options]',
  summary: 'tell a running gateway that a mount will not come back',
  description: `Once a gateway has seen a mount below an export, it expects it: while the mount is absent, requests for its
folder wait. After this command the folder in its place is served. MOUNT is the mount's path below the export,
as holdfast status shows it; without MOUNT it is the mount at the export's own path.
A mount that is present, or that the configuration names, cannot be forgotten: unmount it, or remove it from
the file and send SIGHUP.`,
  positionals: { names: ['EXPORT', 'MOUNT'], required: 1 },
  flags: adminFlags,
  examples: [
    ['holdfast forget media torrents', 'the mount at folder torrents of export media'],
    ['holdfast forget media films/new --config holdfast.yaml', 'by the admin port of that file'],
  ],

  async run(invocation, terminal) {
    const [name = '', mount = ''] = invocation.positionals;
    const client = adminClient(invocation, terminal.env);
    terminal.out(`${await client.act('forget-mount', { export: name, mount })}\n`);
    return ExitCode.done;
  },
};

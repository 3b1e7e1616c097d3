import { adminClient, adminFlags } from './admin-client.ts';
import { ExitCode, type Command } from './command.ts';

export const forget: Command = {
  name: 'forget',
  usage: 'EXPORT [MOUNT] [options]',
  summary: 'have a running gateway no longer expect a mount that has gone for good',
  description: `A mount below an export that was seen once is expected from then on: while it is away, its folder waits. This says
that it does not come again, so that what lies in its place is served. MOUNT is its path below the export, as
holdfast status shows it; without MOUNT what was mounted at the export's own path is meant.
A mount that is there, or that the configuration names, is not forgotten: unmount it, or take it out of the file
and send SIGHUP.`,
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

import type { Status } from '../admin/status.ts';
import { adminClient, AdminError, adminFlags } from './admin-client.ts';
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
    try {
      terminal.out(`${await client.act('forget-mount', { export: name, mount })}\n`);
    } catch (error) {
      if (!(error instanceof AdminError) || error.status !== 404) throw error;
      throw new AdminError(whatExists(await client.get('/api/status'), name, mount), { cause: error });
    }
    return ExitCode.done;
  },
};

/** Why there is nothing to forget, with the names that could have been meant. */
function whatExists(status: unknown, name: string, mount: string): string {
  const { exports } = status as Pick<Status, 'exports'>;
  const found = exports.find((one) => one.name === name);
  if (!found)
    return `there is no export ${name}; expected one of ${exports.map((one) => one.name).join(', ')}`;
  const place = mount === '' ? 'its own path' : mount;
  const mounts = found.mounts.map(({ path }) => path.replace(/^\//, ''));
  const others = mounts.length > 0 ? `it expects ${mounts.join(', ')}` : 'it expects none below its path';
  return `export ${name} expects no mount at ${place}: ${others}`;
}

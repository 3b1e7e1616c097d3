import { formatEndpoint, loadConfig, type ExportConfig } from '../config/index.ts';
import { audience } from './audience.ts';
import { ExitCode, type Command } from './command.ts';

export const check: Command = {
  name: 'check',
  usage: 'FILE',
  summary: 'check a configuration file, and explain it',
  description: `Reads FILE as serve would, with the environment, the folders and the secrets of this machine, but starts
nothing. Prints one line for each problem, with its place in the file and the allowed values; then the exit
code is 2.`,
  positionals: { names: ['FILE'], required: 1 },
  flags: [],
  examples: [['holdfast check /etc/holdfast.yaml', 'before it is used']],

  run(invocation, terminal) {
    const [file] = invocation.positionals;
    const config = loadConfig({ flags: { config: file }, env: terminal.env });
    const protocols = new Set(['nfs', 'smb']);
    terminal.out(`${file!} is valid\n`);
    for (const entry of config.exports)
      for (const line of [audience(entry, protocols), ...mountLines(entry)]) terminal.out(`${line}\n`);
    const children = config.run.map(({ name }) => name);
    if (children.length > 0) terminal.out(`run starts ${children.join(', then ')}\n`);
    const { nfs, smb, admin } = config;
    const places = [
      `NFS ${formatEndpoint(nfs.listen)}`,
      `SMB ${formatEndpoint(smb.listen)}`,
      `admin ${formatEndpoint(admin.listen)}`,
    ];
    terminal.out(`listens at ${places.join(', ')}\n`);
    return Promise.resolve(ExitCode.done);
  },
};

/** The mounts that an export expects, and the targets that its symlinks may have. */
function mountLines({ name, mounts, smb }: ExportConfig): string[] {
  const lines: string[] = [];
  if (mounts !== 'auto' && mounts.length > 0) lines.push(`${name} expects mounts at ${mounts.join(', ')}`);
  if (smb.followSymlinks) {
    const others = smb.links.map((link) => ` and into ${link.name} (${link.paths.join(', ')})`);
    lines.push(`${name} follows links for SMB clients: within itself${others.join('')}`);
  }
  return lines;
}

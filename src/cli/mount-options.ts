import { loadConfig, type Config, type ExportConfig } from '../config/index.ts';
import { ExitCode, type Command, type Invocation } from './command.ts';
import { configFlags, exportFlags, listenFlags } from './flags.ts';
import { nfsLines, reachableHost, smbLines, type MountLines } from './mount-lines.ts';

/** The path of the export if neither PATH nor a configuration is given. */
const usualPath = '/mnt/dfs';

const smbNeeds = 'closetimeo needs Linux 6.0 or newer: leave it out for older clients';

export const mountOptions: Command = {
  name: 'mount-options',
  usage: '[PATH] [options]',
  summary: 'print the mount, fstab and Kubernetes lines for clients',
  description: `Prints how Linux clients mount the exports that serve would serve with the same arguments: the mount command,
the line for /etc/fstab, and a PersistentVolume. Nothing is started; only the address of this machine is read.
Run a cifs mount command in the host's network namespace: nsenter --net=/proc/1/ns/net -- mount ...`,
  positionals: { names: ['PATH'], required: 0 },
  flags: [
    ...exportFlags,
    ...listenFlags,
    {
      name: 'host',
      value: 'HOST',
      help: 'name or address of the gateway (default: one of this machine)',
    },
    { name: 'at', value: 'FOLDER', help: 'where clients mount it (default: the path of the export)' },
  ],
  examples: [
    ['holdfast mount-options', 'for "holdfast serve /mnt/dfs"'],
    ['holdfast mount-options --config FILE --host 10.43.7.9', 'for clients that reach it at that address'],
  ],

  run(invocation, terminal) {
    const config = configOf(invocation, terminal.env);
    for (const entry of config.exports) {
      const { nfs, smb } = linesOf(entry, config, invocation);
      terminal.out(section(`${entry.name} over NFS`, nfs));
      terminal.out(section(`${entry.name} over SMB\n# ${smbNeeds}`, smb));
    }
    return Promise.resolve(ExitCode.done);
  },
};

function configOf(invocation: Invocation, env: NodeJS.ProcessEnv): Config {
  const [given] = invocation.positionals;
  const named = invocation.text('config') ?? env.HOLDFAST_CONFIG;
  const path = given ?? (named === undefined || named === '' ? usualPath : undefined);
  return loadConfig({ flags: configFlags(invocation, path), env, elsewhere: true });
}

function linesOf(entry: ExportConfig, { nfs, smb }: Config, invocation: Invocation) {
  const mountpoint = invocation.text('at') ?? entry.path;
  const target = ({ host, port }: Config['nfs']['listen']) => ({
    name: entry.name,
    host: invocation.text('host') ?? reachableHost(host),
    port,
    mountpoint,
  });
  return { nfs: nfsLines(target(nfs.listen)), smb: smbLines(target(smb.listen), entry.smb.guest) };
}

function section(title: string, { command, fstab, volume }: MountLines): string {
  return `# ${title}\n${command}\n\n# /etc/fstab\n${fstab}\n\n# Kubernetes\n${volume}\n\n`;
}

import { createInterface, type Interface } from 'node:readline';
import { loadConfig } from '../config/index.ts';
import { consoleHelp } from '../demo/console.ts';
import type { Gateway } from '../gateway.ts';
import { createLogger } from '../log/index.ts';
import { ExitCode, type Command, type Terminal } from './command.ts';
import { adminAndLogFlags, configFlags } from './flags.ts';
import { untilSignal } from './signal.ts';

interface DemoTree {
  readonly path: string;
  readonly isFuse: boolean;
  /** A file to read, as a path in the tree. */
  readonly sample: string;
  /** Runs a command that the user has typed; undefined for a plain folder, which has no commands. */
  readonly obey?: (line: string) => Promise<void>;
  dispose(): Promise<void>;
}

export const demo: Command = {
  name: 'demo',
  usage: '[options]',
  summary: 'serve a small FUSE tree, to try clients',
  description: `Makes a small tree like that of a debrid account in a temporary folder, serves it, and prints the commands to
read and mount it. The tree has the properties that make such trees hard to share: link counts of 0, changing
inode numbers, times that follow the clock. Without FUSE or libfuse2, the tree is a plain folder instead.
Ctrl-C ends it and cleans up.
While it runs, type a command to see how clients are affected:
${consoleHelp().trimEnd()}`,
  positionals: { names: [], required: 0 },
  flags: [
    { name: 'nfs', value: 'HOST:PORT', help: 'listen for NFS (default 0.0.0.0:12049)' },
    { name: 'smb', value: 'HOST:PORT', help: 'listen for SMB (default 0.0.0.0:1445)' },
    ...adminAndLogFlags,
  ],
  examples: [
    ['holdfast demo', ''],
    [
      'holdfast demo --nfs 127.0.0.1:0 --admin 127.0.0.1:0',
      'reachable from this machine only, any free ports',
    ],
  ],

  async run(invocation, terminal) {
    // Ignore the environment and the configuration file of a real gateway on this machine.
    const surroundings = { env: {}, root: false };
    // Check the flags before anything is mounted.
    loadConfig({ ...surroundings, flags: configFlags(invocation, '/'), elsewhere: true });
    const { mountCommands, startServing } = await import('./serving.ts');
    const stopped = untilSignal(['SIGTERM', 'SIGINT', 'SIGHUP']);
    const tree = await makeTree(terminal);
    try {
      const flags = configFlags(invocation, tree.path);
      const expectFuse = tree.isFuse ? undefined : (false as const);
      const config = loadConfig({ ...surroundings, flags: { ...flags, expectFuse } });
      const gateway = await startServing(config, createLogger(config.log.level));
      try {
        terminal.out(
          guide(
            gateway,
            tree,
            mountCommands(config, gateway, () => '/mnt/holdfast-demo'),
          ),
        );
        const typed = tree.obey && obeyStdin(tree.obey);
        await stopped;
        typed?.close();
      } finally {
        await gateway.close();
      }
    } finally {
      await tree.dispose();
    }
    return ExitCode.done;
  },
};

/** Runs the lines of standard input as commands, until closed. The end of the input does not end the demo. */
function obeyStdin(obey: (line: string) => Promise<void>): Interface {
  // In the background, reading from the terminal raises SIGTTIN, which would stop the process.
  process.on('SIGTTIN', () => undefined);
  process.stdin.on('error', () => undefined);
  return createInterface({ input: process.stdin }).on('line', (line) => void obey(line));
}

async function makeTree(terminal: Terminal): Promise<DemoTree> {
  try {
    const [{ FuseTree }, { releasePath }, { DemoConsole }] = await Promise.all([
      import('../demo/fuse-tree.ts'),
      import('../demo/fuse-protocol.ts'),
      import('../demo/console.ts'),
    ]);
    const tree = await FuseTree.start();
    const sample = releasePath(0, tree.spec.files[0]!.name);
    const console = new DemoConsole(tree, (line) => terminal.out(`${line}\n`));
    const obey = (line: string) => console.obey(line);
    return { path: tree.mountpoint, isFuse: true, sample, obey, dispose: () => tree.dispose() };
  } catch (error) {
    const reason = (error as Error).message.split('\n', 1)[0]!;
    terminal.out(`No FUSE here, so the demo serves a plain folder instead (${reason}).\n`);
    const { makeDemoFolder } = await import('./demo-folder.ts');
    const folder = makeDemoFolder();
    const dispose = () => {
      folder.remove();
      return Promise.resolve();
    };
    return { path: folder.path, isFuse: false, sample: folder.sample, dispose };
  }
}

/** The commands to try, with the actual ports. */
function guide({ addresses }: Gateway, { sample, obey }: DemoTree, mounts: readonly string[]): string {
  const portOf = (protocol: string) => addresses.find((one) => one.protocol === protocol)?.port;
  const lines: string[] = [];
  const [nfs, smb, admin] = ['nfs', 'smb', 'admin'].map(portOf);
  if (nfs !== undefined) {
    const query = `version=3&nfsport=${nfs}&mountport=${nfs}`;
    lines.push(`nfs-ls -R 'nfs://127.0.0.1/dfs?${query}'`);
    lines.push(`nfs-cat 'nfs://127.0.0.1/dfs${sample}?${query}' | md5sum`);
  }
  if (smb !== undefined) lines.push(`smbclient //127.0.0.1/dfs -p ${smb} -N -c 'recurse; ls'`);
  if (admin !== undefined) lines.push(`curl http://127.0.0.1:${admin}/metrics`);
  const block = (title: string, commands: readonly string[]) =>
    `\n${title}\n${commands.map((command) => `  ${command}\n`).join('')}`;
  const read = block('Read it without mounting:', lines);
  const commands = obey ? 'Type help for what the tree can do meanwhile. ' : '';
  return `${read}${block('Mount it (as root):', mounts)}\n${commands}Ctrl-C ends the demo.\n\n`;
}

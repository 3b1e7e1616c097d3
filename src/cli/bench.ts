import { stat } from 'node:fs/promises';
import { bytes, plural } from '../admin/format.ts';
import { formatEndpoint, parseEndpoint, type Endpoint } from '../config/index.ts';
import type { Report, Throughput, Times } from '../measure/index.ts';
import { ExitCode, UsageError, type Command, type Invocation, type Terminal } from './command.ts';
import { cannotRead } from './file-problem.ts';
import { exportNameOf, seconds } from './flags.ts';
import { textTable } from './text-table.ts';

/** Default for the total time, in seconds. */
const usual = 60;

export const bench: Command = {
  name: 'bench',
  usage: '[PATH] [options]',
  summary: 'measure in a minute the speed of a source, or of a gateway and its network',
  description: `Lists folders, looks up entries and reads files below PATH, as a gateway would, past the page cache; or those
of an export of a gateway, by NFS and without a mount. It reads real files: a debrid or usenet source fetches
them from its provider. It waits for hung calls: stop it with Ctrl-C if it takes too long.`,
  positionals: { names: ['PATH'], required: 0 },
  flags: [
    { name: 'gateway', value: 'HOST:PORT', help: 'measure a gateway by NFS (port 2049) instead' },
    { name: 'name', value: 'NAME', help: 'the export of that gateway (default dfs)' },
    { name: 'uid', value: 'UID', help: 'user id to act as there (default: yours)' },
    { name: 'seconds', value: 'SECONDS', help: `total time (default ${usual})` },
    { name: 'json', help: 'print JSON, for programs' },
  ],
  examples: [
    ['holdfast bench /mnt/dfs', 'the source, on the machine that has it'],
    ['holdfast bench --gateway 10.43.7.9:2049', 'the same through the gateway, from a client'],
  ],

  async run(invocation, terminal) {
    const [path] = invocation.positionals;
    const gateway = endpointOf(invocation);
    if ((path === undefined) === (gateway === undefined))
      throw new UsageError('one of PATH and --gateway HOST:PORT is needed');
    const time = seconds(invocation, 'seconds', usual);
    const onPart = (name: string) => terminal.err(`${name} …\n`);
    const { LocalFolder, measure, RemoteExport, repeat, timesOf } = await import('../measure/index.ts');
    if (path !== undefined) {
      await checkFolder(path);
      const subject = new LocalFolder(path);
      const report = await measure(subject, { seconds: time, onPart });
      await subject.close();
      show(terminal, invocation, path, report, undefined);
      return ExitCode.done;
    }
    const name = exportNameOf(invocation);
    const uid = uidOf(invocation);
    const subject = await RemoteExport.mount({ ...gateway!, name, uid }).catch((error: unknown) => {
      throw unreached(error, gateway!);
    });
    onPart('the network alone');
    const pings = await repeat(time * 50, 1, () => subject.ping());
    const report = await measure(subject, { seconds: time * 0.95, onPart });
    await subject.close();
    show(terminal, invocation, `${gateway!.host}:/${name}`, report, timesOf(pings.times));
    return ExitCode.done;
  },
};

/** The error of connect(2) or getaddrinfo(3) with what to do about it; any other error unchanged. */
function unreached(error: unknown, gateway: Endpoint): unknown {
  const { syscall = '', message } = error as NodeJS.ErrnoException;
  if (syscall !== 'connect' && syscall !== 'getaddrinfo') return error;
  const hint = 'is the gateway running, and is this its NFS port (--gateway HOST:PORT)?';
  return new Error(`no answer from ${formatEndpoint(gateway)} (${message}): ${hint}`, { cause: error });
}

async function checkFolder(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw new UsageError(`PATH: ${cannotRead(path, error)}`, { cause: error });
  });
  if (!found.isDirectory()) throw new UsageError(`PATH: ${path} is a file; expected a folder`);
}

function endpointOf(invocation: Invocation): Endpoint | undefined {
  const text = invocation.text('gateway');
  if (text === undefined) return undefined;
  const found = parseEndpoint(text) ?? parseEndpoint(`${text}:2049`);
  if (!found) throw new UsageError(`--gateway: ${text} is not HOST:PORT`);
  return found;
}

function uidOf(invocation: Invocation): number {
  const text = invocation.text('uid') ?? String(process.getuid?.() ?? 65534);
  if (!/^\d{1,10}$/.test(text) || Number(text) > 4294967294)
    throw new UsageError(`--uid: ${text} is no user id`);
  return Number(text);
}

function show(
  terminal: Terminal,
  invocation: Invocation,
  what: string,
  report: Report,
  network: Times | undefined,
): void {
  if (invocation.has('json')) {
    terminal.out(`${JSON.stringify({ what, network, ...report }, null, 2)}\n`);
    return;
  }
  const { entries, files, list, look, firstByte, oneStream, streams, small } = report;
  const rows = [
    ['network, one small call', ...timed(network)],
    ['list a folder', ...timed(list)],
    ['look at an entry', ...timed(look)],
    ['begin to read a file', ...timed(firstByte)],
    ['4 KiB anywhere in a file', ...timed(small)],
  ].filter((row) => row.length > 1);
  terminal.out(`${what}: ${plural(entries, 'entry', 'entries')} seen, ${plural(files, 'file')} to read\n\n`);
  terminal.out(textTable(['', 'COUNT', 'MEDIAN', '99TH PERCENTILE', 'LONGEST'], rows));
  if (oneStream) terminal.out(`\n  one stream           ${rate(oneStream)}\n`);
  if (streams) terminal.out(`  ${plural(streams.atOnce, 'stream')} at once    ${rate(streams)}\n`);
}

const inMs = (ms: number) => (ms < 10 ? `${ms.toFixed(2)} ms` : `${Math.round(ms)} ms`);
const timed = (times: Times | undefined): string[] =>
  times ? [String(times.count), inMs(times.p50), inMs(times.p99), inMs(times.longest)] : [];
const rate = ({ bytes: count, seconds: time }: Throughput) => `${bytes(count / time)}/s`;

/** Runs programs that access a mount. Such a call may hang in the kernel: a separate process can be given up, a thread cannot. */
import { spawn } from 'node:child_process';

export interface ProgramOptions {
  readonly timeoutMs: number;
  /** A descriptor of this process that becomes descriptor 3 of the program. */
  readonly descriptor?: number;
}

/** `late`: the program did not end in time and got SIGKILL, which has no effect while its call hangs in the kernel. */
export interface ProgramResult {
  readonly outcome: 'done' | 'failed' | 'late';
  /** The first line of its error output. */
  readonly message: string;
  readonly ms: number;
  /** Resolves when the process has ended. A hung one may never end. */
  readonly gone: Promise<void>;
}

const maxOutput = 4096;

/** Never rejects. */
export function runProgram(command: readonly string[], options: ProgramOptions): Promise<ProgramResult> {
  const started = performance.now();
  const { timeoutMs, descriptor } = options;
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ['ignore', 'ignore', 'pipe', ...(descriptor === undefined ? [] : [descriptor])],
    // English messages, as they are logged unchanged.
    env: { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  });
  let output = '';
  child.stderr!.setEncoding('utf8');
  child.stderr!.on('data', (text: string) => (output = (output + text).slice(-maxOutput)));
  return new Promise((resolve) => {
    let gone: () => void;
    const isGone = new Promise<void>((done) => (gone = done));
    const settle = (outcome: ProgramResult['outcome'], message = firstLine(output)) => {
      clearTimeout(timer);
      resolve({ outcome, message, ms: performance.now() - started, gone: isGone });
    };
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      // A hung process must not keep the event loop alive.
      child.stderr!.destroy();
      child.unref();
      settle('late', `no answer in ${timeoutMs / 1000} s`);
    }, timeoutMs);
    child.on('error', ({ message }) => {
      gone();
      settle('failed', message);
    });
    child.on('exit', () => gone());
    child.on('close', (code, signal) => {
      if (code === 0) settle('done');
      else settle('failed', firstLine(output) || `${command[0]!} ended with ${signal ?? code ?? 'nothing'}`);
    });
  });
}

/** util-linux adds lines about where to find more information. */
const firstLine = (text: string) => text.trim().split('\n', 1)[0]!;

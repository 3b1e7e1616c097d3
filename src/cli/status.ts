import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminSummary } from '../admin/state.ts';
import type { Status } from '../admin/status.ts';
import { adminClient, adminFlags } from './admin-client.ts';
import { ExitCode, type Command } from './command.ts';
import { statusText, summaryText } from './status-text.ts';

const interval = 2_000;

/** Clears the screen and goes to its first place (ECMA-48 ED and CUP). */
const clear = '\u001b[2J\u001b[H';

export const status: Command = {
  name: 'status',
  usage: '[options]',
  summary: 'show what a running gateway does: sources, who reads, who waits for what, clients',
  description: `Asks the admin port of a gateway, by default the one on this machine, and shows what its page shows: the
state of each source, who waits for what and since when, what is in quarantine, streams, sessions and mounts.
The gateway answers from what it knows, so this works while a source hangs.`,
  positionals: { names: [], required: 0 },
  flags: [
    ...adminFlags,
    { name: 'json', help: 'as JSON, for programs; with --watch one line each time' },
    { name: 'watch', help: 'again and again, every two seconds, until Ctrl-C' },
  ],
  examples: [
    ['holdfast status', 'of the gateway on this machine'],
    ['holdfast status --watch', 'goes on'],
    ['holdfast status --json --admin 10.43.7.9:9445 --token-file token', 'for a program, from elsewhere'],
  ],

  async run(invocation, terminal) {
    const client = adminClient(invocation, terminal.env);
    const json = invocation.has('json');
    const watch = invocation.has('watch');
    const show = async () => {
      const answer = await client.get('/api/status');
      if (json) return `${JSON.stringify(answer, null, watch ? undefined : 2)}\n`;
      return 'process' in (answer as object)
        ? statusText(answer as Status)
        : summaryText(answer as AdminSummary);
    };
    if (!watch) {
      terminal.out(await show());
      return ExitCode.done;
    }
    const before = terminal.interactive && !json ? clear : '';
    for (;;) {
      // A gateway that restarts is worth watching, too.
      const text = await show().catch((error: unknown) => `${(error as Error).message}\n`);
      terminal.out(`${before}${text}`);
      await sleep(interval);
    }
  },
};

import { setTimeout as sleep } from 'node:timers/promises';
import type { AdminSummary } from '../admin/state.ts';
import type { Status } from '../admin/status.ts';
import { adminClient, adminFlags } from './admin-client.ts';
import { ExitCode, type Command } from './command.ts';
import { statusText, summaryText } from './status-text.ts';

const interval = 2_000;

/** Clears the screen and moves the cursor to the top left (ECMA-48 ED and CUP). */
const clear = '\u001b[2J\u001b[H';

export const status: Command = {
  name: 'status',
  usage: '[options]',
  summary: 'show the state of a running gateway: sources, waiting requests, streams, clients',
  description: `Asks the admin port of a gateway, by default the one on this machine, and shows the same as its page: the state
of each source, waiting requests, objects in quarantine, streams, sessions and mounts. It works while a source
hangs.`,
  positionals: { names: [], required: 0 },
  flags: [
    ...adminFlags,
    { name: 'json', help: 'print JSON, for programs; with --watch one line each time' },
    { name: 'watch', help: 'repeat every two seconds until Ctrl-C' },
  ],
  examples: [
    ['holdfast status', 'the gateway on this machine'],
    ['holdfast status --watch', 'updated every two seconds'],
    [
      'holdfast status --json --admin 10.43.7.9:9445 --token-file token',
      'from another machine, for a program',
    ],
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
      // Continue while the gateway does not answer: it may be restarting.
      const text = await show().catch((error: unknown) => `${(error as Error).message}\n`);
      terminal.out(`${before}${text}`);
      await sleep(interval);
    }
  },
};

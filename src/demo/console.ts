import {
  MIB,
  releaseName,
  releasePath,
  type EntrySpec,
  type FuseOperation,
  type LeaveSpec,
} from './fuse-protocol.ts';

/** The tree that the commands act on: a FuseTree, or a fake in tests. */
export interface PlayedTree {
  readonly pid: number | undefined;
  mount(): Promise<void>;
  kill(): Promise<void>;
  leave(options?: Partial<LeaveSpec>): Promise<void>;
  hang(path: string, ...operations: FuseOperation[]): Promise<void>;
  fail(
    path: string,
    options: { operations: FuseOperation[]; afterMs: number; delaysOnce: boolean },
  ): Promise<void>;
  heal(path?: string): Promise<void>;
  add(entry: EntrySpec): Promise<void>;
  remove(path: string): Promise<void>;
}

interface Action {
  readonly name: string;
  readonly argument?: 'FILE';
  /** The line for the help text. */
  readonly help: string;
  /** Returns one line that says what happened. */
  run(tree: PlayedTree, file: string, added: string[]): Promise<string>;
}

/** Ms after which a dead file first fails, as an expired link at a provider does. */
const DEAD_AFTER_MS = 7000;
const RESTART_MS = 1000;
const NEW_FILE_SIZE = 64 * MIB;

const actions: readonly Action[] = [
  {
    name: 'leave',
    help: 'the daemon shuts down cleanly: for 1.5 s it answers lookups but no reads, then it unmounts',
    run: async (tree) => {
      await tree.leave();
      return 'The daemon has left. Nothing is mounted; "mount" starts it again.';
    },
  },
  {
    name: 'restart',
    help: 'as "leave", but the daemon mounts again after one second',
    run: async (tree) => {
      await tree.leave({ backAfterMs: RESTART_MS });
      return 'The daemon has left and mounted again.';
    },
  },
  {
    name: 'kill',
    help: 'the daemon is killed: its mount stays and answers errors',
    run: async (tree) => {
      await tree.kill();
      return 'The daemon is dead. Its mount answers errors; "mount" starts it again.';
    },
  },
  {
    name: 'mount',
    help: 'starts a daemon that mounts the tree, with new inode numbers',
    run: async (tree) => {
      if (tree.pid !== undefined) return 'The tree is mounted already.';
      await tree.mount();
      return 'The tree is mounted again.';
    },
  },
  {
    name: 'hang',
    argument: 'FILE',
    help: 'reads of this file wait until "heal"',
    run: async (tree, file) => {
      await tree.hang(file, 'read');
      return `Reads of ${file} hang; other files can be read.`;
    },
  },
  {
    name: 'dead',
    argument: 'FILE',
    help: 'reads of this file fail until "heal", the first one after 7 s',
    run: async (tree, file) => {
      await tree.fail(file, { operations: ['read'], afterMs: DEAD_AFTER_MS, delaysOnce: true });
      return `${file} is dead: reads of it fail.`;
    },
  },
  {
    name: 'stall',
    help: 'the provider sends nothing: every read waits until "heal"; names are answered',
    run: async (tree) => {
      await tree.hang('/', 'read');
      return 'The provider stalls: all reads wait.';
    },
  },
  {
    name: 'heal',
    help: 'ends "hang", "dead" and "stall"; waiting reads continue',
    run: async (tree) => {
      await tree.heal();
      return 'All faults have ended.';
    },
  },
  {
    name: 'add',
    help: 'a release appears in __all__',
    run: async (tree, _file, added) => {
      const path = `/__all__/New.${releaseName(added.length)}`;
      await tree.add({ type: 'file', path: `${path}/video.mkv`, size: NEW_FILE_SIZE, mtimeMs: Date.now() });
      added.push(path);
      return `${path} is there.`;
    },
  },
  {
    name: 'remove',
    help: 'removes the release that was added last',
    run: async (tree, _file, added) => {
      const path = added.at(-1);
      if (path === undefined) return 'Nothing was added.';
      await tree.remove(path);
      added.pop();
      return `${path} is gone.`;
    },
  },
];

/** The help text: one line for each command. */
export function consoleHelp(): string {
  const left = (action: Action) => (action.argument ? `${action.name} ${action.argument}` : action.name);
  const width = Math.max(...actions.map((action) => left(action).length));
  const lines = actions.map((action) => `  ${left(action).padEnd(width)}  ${action.help}\n`);
  return `${lines.join('')}FILE is a path in the tree; without it: ${releasePath(0, 'video.mkv')}\n`;
}

/** Runs the commands typed into the demo's terminal, one at a time. */
export class DemoConsole {
  readonly #tree: PlayedTree;
  readonly #say: (line: string) => void;
  /** Paths of the releases that were added and not removed, oldest first. */
  readonly #added: string[] = [];
  #last: Promise<void> = Promise.resolve();

  constructor(tree: PlayedTree, say: (line: string) => void) {
    this.#tree = tree;
    this.#say = say;
  }

  /** Resolves when the command has run and its result is printed. Never rejects. */
  obey(line: string): Promise<void> {
    this.#last = this.#last.then(() => this.#obey(line.trim()));
    return this.#last;
  }

  async #obey(line: string): Promise<void> {
    const [name = '', ...rest] = line.split(/\s+/);
    if (name === '') return;
    const action = actions.find((one) => one.name === name);
    if (!action) {
      this.#say(
        name === 'help' ? consoleHelp().trimEnd() : `Unknown command ${name}; "help" names them all.`,
      );
      return;
    }
    const file = rest.join(' ') || releasePath(0, 'video.mkv');
    try {
      this.#say(await action.run(this.#tree, file.startsWith('/') ? file : `/${file}`, this.#added));
    } catch (error) {
      this.#say(`${name}: ${(error as Error).message}`);
    }
  }
}

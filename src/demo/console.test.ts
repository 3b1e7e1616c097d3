import { beforeEach, expect, it } from 'vitest';
import { consoleHelp, DemoConsole, type PlayedTree } from './console.ts';

let calls: string[];
let said: string[];
let pid: number | undefined;
let demo: DemoConsole;

beforeEach(() => {
  calls = [];
  said = [];
  pid = 1;
  const note =
    (name: string) =>
    (...args: unknown[]) => {
      calls.push(`${name} ${JSON.stringify(args)}`);
      return Promise.resolve();
    };
  const tree: PlayedTree = {
    get pid() {
      return pid;
    },
    mount: note('mount'),
    kill: note('kill'),
    leave: note('leave'),
    hang: note('hang'),
    fail: note('fail'),
    heal: note('heal'),
    add: note('add'),
    remove: note('remove'),
  };
  demo = new DemoConsole(tree, (line) => said.push(line));
});

it('runs commands one at a time and reports each result', async () => {
  const last = ['leave', 'restart', ' kill ', '', 'hang a b.mkv', 'dead /x', 'stall', 'heal'].map((line) =>
    demo.obey(line),
  );
  await Promise.all(last);
  expect(calls).toEqual([
    'leave []',
    'leave [{"backAfterMs":1000}]',
    'kill []',
    'hang ["/a b.mkv","read"]',
    'fail ["/x",{"operations":["read"],"afterMs":7000,"delaysOnce":true}]',
    'hang ["/","read"]',
    'heal []',
  ]);
  expect(said).toHaveLength(7);
  expect(said.every((line) => /^[A-Z/].*\.$/.test(line))).toBe(true);
});

it('does not mount a mounted tree', async () => {
  await demo.obey('mount');
  pid = undefined;
  await demo.obey('mount');
  expect(calls).toEqual(['mount []']);
  expect(said).toEqual(['The tree is mounted already.', 'The tree is mounted again.']);
});

it('adds releases and removes the last', async () => {
  for (const line of ['add', 'add', 'remove', 'remove', 'remove']) await demo.obey(line);
  const paths = calls.map((call) => /\/__all__\/[^"]*/.exec(call)![0]);
  expect(paths[0]).toMatch(/video\.mkv$/);
  expect(paths.slice(2)).toEqual([paths[1]!.replace('/video.mkv', ''), paths[0]!.replace('/video.mkv', '')]);
  expect(said[4]).toBe('Nothing was added.');
});

it('prints help, and reports unknown and failing commands', async () => {
  await demo.obey('help');
  expect(`${said[0]!}\n`).toBe(consoleHelp());
  await demo.obey('dance');
  expect(said[1]).toMatch(/Unknown command dance/);
  const broken = new DemoConsole(
    { kill: () => Promise.reject(new Error('no such process')) } as unknown as PlayedTree,
    (line) => said.push(line),
  );
  await broken.obey('kill');
  expect(said[2]).toBe('kill: no such process');
});

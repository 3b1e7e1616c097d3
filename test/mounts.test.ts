/** One export over several mounts: each is a source of its own, and what is expected is never an empty folder. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { AdminState, ExportState } from '../src/admin/index.ts';
import { detachNow } from '../src/demo/mounts.ts';
import { Gateway, type LogLine } from './kit/gateway.ts';
import { outcome, smbclient, type Outcome } from './kit/smb.ts';
import { NfsConsumer, SmbConsumer, type Consumer } from './zoo/clients.ts';
import { Site } from './zoo/daemon.ts';
import { OddTree } from './zoo/odd-tree.ts';
import { LISTEN, undo } from './zoo/visit.ts';

/** No answer for what is well may take longer than this while something else is away, in ms. */
const prompt = 2_000;

const mainPath = fileURLToPath(new URL('../dist/main.js', import.meta.url));

const cleanUp: (() => unknown)[] = [];
afterEach(() => undo(cleanUp));

class Library {
  readonly site = new Site('mounts');
  readonly folder = this.site.make('media');
  readonly state = this.site.make('state');
  readonly file = this.site.path('holdfast.yaml');
  gateway!: Gateway;
  consumers: Consumer[] = [];
  /** More of them, for what waits beside. */
  patient: Consumer[] = [];

  constructor() {
    cleanUp.push(() => this.site.dispose());
    writeFileSync(join(this.folder, 'plain.txt'), 'plain');
  }

  /** A place for a mount, with something in it that must never be seen. */
  place(...parts: string[]): string {
    const path = this.site.make('media', ...parts);
    writeFileSync(join(path, 'underneath'), 'underneath');
    return path;
  }

  mount(...args: string[]): void {
    const place = args.at(-1)!;
    execFileSync('mount', args);
    cleanUp.push(() => detachNow(place));
  }

  configure(media: object = {}, others: object = {}, more: object = {}): void {
    const exports = { dfs: { path: this.folder, expectFuse: false, ...media }, ...others };
    writeFileSync(this.file, JSON.stringify({ exports, state: this.state, ...more }));
  }

  async serve(command = 'serve'): Promise<void> {
    const args = [command, '--config', this.file, ...LISTEN];
    this.gateway = await Gateway.start({ args, protocols: ['nfs', 'smb', 'admin'] });
    cleanUp.push(() => this.gateway.kill());
    this.consumers = await this.connect();
    this.patient = await this.connect();
  }

  async connect(): Promise<Consumer[]> {
    const nfs = await NfsConsumer.connect(this.gateway.port('nfs'));
    cleanUp.push(() => nfs.close());
    const smb = new SmbConsumer(this.gateway.port('smb'));
    cleanUp.push(() => smb.close());
    return [nfs, smb];
  }

  async reload(): Promise<LogLine> {
    const before = this.gateway.log.length;
    this.gateway.signal('SIGHUP');
    const isNew = (line: LogLine) => this.gateway.log.indexOf(line) >= before;
    return await this.gateway.whenLogged((line) => line['msg'] === 'configuration read again' && isNew(line));
  }

  /** What the health check tells of an export. */
  async gatewayState(name: string): Promise<ExportState> {
    const response = await fetch(`http://127.0.0.1:${this.gateway.port('admin')}/readyz`);
    const { exports } = (await response.json()) as AdminState;
    return exports.find((one) => one.name === name)!;
  }

  /** State of each mount. */
  async states(): Promise<Record<string, string>> {
    const { mounts } = await this.gatewayState('dfs');
    return Object.fromEntries(mounts.map(({ path, state }) => [path, state]));
  }

  /** `holdfast forget`. */
  forget(mount: string): Promise<Outcome> {
    const admin = `127.0.0.1:${this.gateway.port('admin')}`;
    return outcome(process.execPath, [mainPath, 'forget', 'dfs', mount, '--admin', admin]);
  }

  /** Resolves once the gateway knows that the mounts are so. */
  async become(expected: Record<string, string>): Promise<void> {
    await expect.poll(() => this.states(), { timeout: 20_000 }).toMatchObject(expected);
  }
}

async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  const begun = performance.now();
  const value = await work;
  expect(performance.now() - begun, what).toBeLessThan(ms);
  return value;
}

/** That there is no answer for a while. */
async function waits(work: Promise<unknown>): Promise<void> {
  const settled = work.then(
    () => 'an answer',
    (error: unknown) => String(error),
  );
  expect(await Promise.race([settled, delay(2_000, 'waits')])).toBe('waits');
}

const names = async (consumer: Consumer, path: string) =>
  (await consumer.list(path)).map(({ name, type }) => `${name} ${type}`);

describe('mounts below a plain folder', () => {
  it('that are named are expected from the start, and all else is served at once', async () => {
    const library = new Library();
    for (const name of ['dfs', 'torrents', 'zurg']) library.place(name);
    await OddTree.start(library.site, join(library.folder, 'zurg'));
    library.configure({ mounts: ['dfs', 'torrents', 'zurg'] });
    await library.serve();
    const root = ['dfs directory', 'plain.txt file', 'torrents directory', 'zurg directory'];
    const waiting = library.patient.map((consumer) => consumer.whole('/dfs/untyped/b.mkv'));
    for (const consumer of library.consumers) {
      expect(await within(prompt, 'list', names(consumer, '/'))).toEqual(root);
      expect(await within(prompt, 'read', consumer.whole('/zurg/untyped/b.mkv'))).toHaveLength(11);
      expect((await within(prompt, 'plain', consumer.whole('/plain.txt'))).toString()).toBe('plain');
    }
    expect(await library.states()).toEqual({ '/dfs': 'down', '/torrents': 'down', '/zurg': 'live' });
    await OddTree.start(library.site, join(library.folder, 'dfs'));
    for (const read of waiting) expect(await read).toHaveLength(11);
    for (const consumer of library.consumers)
      expect(await names(consumer, '/dfs')).not.toContain('underneath file');
    await Promise.all(library.consumers.map((consumer) => waits(consumer.whole('/torrents/underneath'))));
  });

  it('fail one at a time: a killed, a hung and an unmounted one keep nobody else waiting', async () => {
    const library = new Library();
    const trees = new Map<string, OddTree>();
    for (const name of ['killed', 'hung', 'gone', 'well'])
      trees.set(name, await OddTree.start(library.site, library.place(name)));
    library.configure();
    await library.serve();
    const before = new Map<Consumer, string[]>();
    for (const consumer of library.consumers) {
      for (const name of trees.keys()) before.set(consumer, await names(consumer, `/${name}`));
      expect(await consumer.whole('/well/untyped/b.mkv')).toHaveLength(11);
    }
    trees.get('hung')!.hang();
    cleanUp.push(() => trees.get('hung')!.kill());
    await trees.get('killed')!.die();
    detachNow(join(library.folder, 'gone'));
    const until = performance.now() + 6_000;
    const stuck = library.patient.map((consumer) => consumer.whole('/hung/untyped/b.mkv').catch(String));
    while (performance.now() < until) {
      for (const consumer of library.consumers) {
        expect(await within(prompt, 'list', names(consumer, '/'))).toHaveLength(5);
        expect(await within(prompt, 'read', consumer.whole('/well/untyped/b.mkv'))).toHaveLength(11);
        for (const name of ['killed', 'gone']) {
          const listed = await within(prompt, name, names(consumer, `/${name}`));
          expect(listed).toEqual(before.get(consumer));
        }
      }
    }
    await library.become({ '/hung': 'stuck', '/killed': 'down', '/gone': 'down', '/well': 'live' });
    await Promise.all(stuck);
    await OddTree.start(library.site, join(library.folder, 'gone'));
    for (const consumer of library.consumers)
      await expect
        .poll(() => consumer.whole('/gone/untyped/b.mkv').catch(String), { timeout: 40_000 })
        .toHaveLength(11);
  });

  it('that were seen are expected after a restart, until they are said to have gone for good', async () => {
    const library = new Library();
    const place = library.place('torrents');
    const tree = await OddTree.start(library.site, place);
    library.configure();
    await library.serve();
    await library.become({ '/torrents': 'live' });
    expect(await library.forget('torrents')).toMatchObject({
      code: 1,
      text: expect.stringContaining('it is mounted') as string,
    });
    await library.gateway.stop();
    await tree.kill();
    await library.serve();
    expect(await library.states()).toEqual({ '/torrents': 'down' });
    for (const consumer of library.consumers)
      expect(await names(consumer, '/')).toEqual(['plain.txt file', 'torrents directory']);
    expect(await library.forget('torrents')).toMatchObject({ code: 0 });
    expect(await library.states()).toEqual({});
    for (const consumer of library.consumers)
      await expect.poll(() => names(consumer, '/torrents'), { timeout: 20_000 }).toEqual(['underneath file']);
    await library.gateway.stop();
    library.configure({ mounts: ['other'] });
    await library.serve();
    expect(await library.states()).toEqual({ '/other': 'down' });
    expect(await library.forget('other')).toMatchObject({
      code: 1,
      text: expect.stringContaining('the configuration names it') as string,
    });
    library.configure({ mounts: [] });
    await library.reload();
    expect(await library.states()).toEqual({});
  });
});

describe('mounts of other kinds', () => {
  it('kernel filesystems, bind mounts of the same filesystem and of single files wait like any other', async () => {
    const library = new Library();
    for (const name of ['tmpfs', 'bound']) library.place(name);
    const elsewhere = library.site.make('elsewhere');
    for (const name of ['a.mkv', 'one']) writeFileSync(join(elsewhere, name), name);
    writeFileSync(join(library.folder, 'single.txt'), 'underneath');
    library.mount('-t', 'tmpfs', 'none', join(library.folder, 'tmpfs'));
    mkdirSync(join(library.folder, 'tmpfs/inner'));
    writeFileSync(join(library.folder, 'tmpfs/inner/b.mkv'), 'tmpfs');
    library.mount('--bind', elsewhere, join(library.folder, 'bound'));
    library.mount('--bind', join(elsewhere, 'one'), join(library.folder, 'single.txt'));
    library.mount('--bind', elsewhere, join(library.folder, 'tmpfs/inner'));
    library.configure();
    await library.serve();
    await library.become({ '/tmpfs': 'live', '/bound': 'live', '/tmpfs/inner': 'live' });
    for (const consumer of library.consumers) {
      expect((await consumer.whole('/single.txt')).toString()).toBe('one');
      for (const path of ['/bound/a.mkv', '/tmpfs/inner/a.mkv'])
        expect((await consumer.whole(path)).toString()).toBe('a.mkv');
      expect(await names(consumer, '/bound')).toEqual(['a.mkv file', 'one file']);
    }
    for (const name of ['bound', 'tmpfs/inner']) detachNow(join(library.folder, name));
    for (const consumer of library.consumers) {
      expect(await names(consumer, '/bound')).toEqual(['a.mkv file', 'one file']);
      await Promise.all(
        ['/bound/underneath', '/tmpfs/inner/b.mkv'].map((path) => waits(consumer.whole(path))),
      );
      expect(await names(consumer, '/tmpfs')).toEqual(['inner directory']);
    }
    await library.become({ '/tmpfs': 'live', '/bound': 'down', '/tmpfs/inner': 'down' });
  });
});

describe('a library of absolute links', () => {
  it('is read over SMB from the mounts of its own export and of others, and never from elsewhere', async () => {
    const library = new Library();
    const inner = library.place('torrents');
    await OddTree.start(library.site, inner);
    const dfs = library.site.make('dfs');
    const tree = await OddTree.start(library.site, dfs);
    const secret = library.site.make('secret');
    writeFileSync(join(secret, 'key'), 'secret');
    const links = {
      within: join(inner, 'untyped/b.mkv'),
      other: join(dfs, 'untyped/b.mkv'),
      renamed: '/data/dfs/untyped/b.mkv',
      folder: '/data/dfs/untyped',
      loop: '/data/dfs/../dfs',
      secret: join(secret, 'key'),
      outside: '/etc/hostname',
      circle: join(library.folder, 'circle'),
    };
    for (const [name, target] of Object.entries(links)) symlinkSync(target, join(library.folder, name));
    const password = library.site.path('password');
    writeFileSync(password, 'pass', { mode: 0o600 });
    library.configure(
      { followSymlinks: { films: '/data/dfs', secret: [] } },
      {
        films: { path: dfs },
        secret: { path: secret, expectFuse: false, smb: { users: [{ name: 'u', passwordFile: password }] } },
      },
    );
    await library.serve();
    await library.become({ '/torrents': 'live' });
    const [nfs, smb] = library.consumers as [Consumer, Consumer];
    for (const name of ['within', 'other', 'renamed', 'folder/b.mkv', 'loop/untyped/b.mkv'])
      expect(await smb.whole(`/${name}`), name).toHaveLength(11);
    for (const name of ['secret', 'outside', 'circle', 'folder/../../../../etc/hostname'])
      await expect(smb.whole(`/${name}`), name).rejects.toThrow();
    const listed = await smb.list('/');
    expect(listed.map(({ name, type, size }) => `${name} ${type} ${size}`)).toEqual([
      'folder directory 0',
      'loop directory 0',
      'other file 11',
      'plain.txt file 5',
      'renamed file 11',
      'torrents directory 0',
      'within file 11',
    ]);
    expect(await smb.list('/folder')).toEqual(await smb.list('/torrents/untyped'));
    // NFS clients follow by themselves.
    expect(await nfs.readlink('/other')).toBe(links.other);
    // What a link leads to waits for its own mount, and for nothing else.
    await tree.die();
    await expect
      .poll(async () => (await library.gatewayState('films')).state, { timeout: 20_000 })
      .toBe('down');
    expect(await within(prompt, 'read', smb.whole('/within'))).toHaveLength(11);
    expect((await within(prompt, 'list', smb.list('/'))).length).toBe(listed.length);
    // What was read before may be in memory.
    await waits(library.patient[1]!.whole('/folder/a.mkv'));
  });
});

describe('children that make the mounts', () => {
  it('are started in order, and again each by itself', async () => {
    const library = new Library();
    const content = library.site.make('content');
    writeFileSync(join(content, 'a.mkv'), 'content');
    const child = (name: string) => {
      const mount = library.site.make('media', name);
      const command = ['bindfs', '-f', '-o', 'allow_other', content, mount];
      return { name, command, mount, afterCrash: `umount -l ${mount}` };
    };
    library.configure({ mounts: ['one', 'two'] }, {}, { run: [child('one'), child('two')] });
    await library.serve('run');
    cleanUp.push(() => library.gateway.stop());
    await library.become({ '/one': 'live', '/two': 'live' });
    const started = () =>
      library.gateway.log.flatMap(({ msg, child, childPid }) =>
        msg === 'child started' ? [{ child, childPid }] : [],
      );
    expect(started().map(({ child }) => child)).toEqual(['one', 'two']);
    process.kill(Number(started()[0]!.childPid), 'SIGKILL');
    await expect
      .poll(() => started().map(({ child }) => child), { timeout: 20_000 })
      .toEqual(['one', 'two', 'one']);
    for (const consumer of library.consumers)
      for (const name of ['one', 'two'])
        expect((await consumer.whole(`/${name}/a.mkv`)).toString()).toBe('content');
    expect(await library.gateway.stop()).toBe(0);
  });
});

describe('one tree under two names', () => {
  it('has one source, and the rules of each name', async () => {
    const library = new Library();
    await OddTree.start(library.site, library.place('torrents'));
    library.configure({}, { guests: { path: library.folder, expectFuse: false, clients: [] } });
    await library.serve();
    await library.become({ '/torrents': 'live' });
    for (const consumer of library.consumers) expect(await consumer.list('/torrents')).toHaveLength(9);
    // What was opened for one is open for the other.
    expect(await library.consumers[0]!.whole('/torrents/untyped/b.mkv')).toHaveLength(11);
    const metrics = await fetch(`http://127.0.0.1:${library.gateway.port('admin')}/metrics`);
    const opened = (await metrics.text()).match(/^holdfast_source_opens_total\{.*\} (\d+)$/gm)!;
    expect(opened.map((line) => line.replace(/.*export="(\w+)".* /, '$1 '))).toEqual(['dfs 1', 'guests 1']);
    const target = { port: library.gateway.port('smb'), share: 'guests', command: 'ls' };
    expect((await smbclient(target)).text).toMatch(/NT_STATUS_/);
  });
});

#!/usr/bin/env node
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { undoAll } from './lib/cleanup.mjs';
import { build, installPackages, missingPackages } from './lib/build.mjs';
import { machine, markdown, summarise } from './lib/report.mjs';
import { rows, selectRows } from './lib/rows.mjs';
import { cpuSeconds } from './lib/cpu.mjs';
import { createSandbox, residentBytes, runInside } from './lib/sandbox.mjs';
import { smbUser, startGanesha, startHoldfast, startSmbd } from './lib/servers.mjs';
import { copyTree, mountTree, releases } from './lib/trees.mjs';

/**
 * @typedef {import('./lib/report.mjs').Column} Column
 * @typedef {import('./lib/report.mjs').Result} Result
 * @typedef {import('./lib/report.mjs').Sample} Sample
 * @typedef {import('./lib/rows.mjs').Row} Row
 * @typedef {import('./lib/sandbox.mjs').Sandbox} Sandbox
 * @typedef {import('./lib/servers.mjs').Server} Server
 * @typedef {import('./lib/trees.mjs').Tree} Tree
 */

const usage = `npm run bench -- [options]

  --quick             one short round of everything: a look, not a measurement
  --only ROWS         comma-separated row names or their beginnings (nfs-read-1m, smb, nfs-read)
  --rounds N          interleaved rounds, the median of which is shown (3)
  --seconds S         length of each sample (2)
  --servers LIST      of holdfast,peer,limit (all three)
  --source fuse|plain serve a fast FUSE tree, or a folder of the disk (fuse)
  --tree OPTIONS      of the FUSE tree, such as readdirplus=0,keep-cache=1 (bench/README.md)
  --json              JSON with every sample on stdout instead of the table
  --install           install missing Debian packages with apt-get
  --list              name the rows and leave
`;

const columns = /** @type {Column[]} */ (['holdfast', 'peer', 'limit']);

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      servers: { type: 'string', default: columns.join(',') },
      source: { type: 'string', default: 'fuse' },
      tree: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      install: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  const seconds = Number(values.seconds ?? (values.quick ? 0.5 : 2));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds: a whole number from 1');
  if (!(seconds > 0)) throw new Error('--seconds: a number above 0');
  if (values.source !== 'fuse' && values.source !== 'plain') throw new Error('--source: fuse or plain');
  const servers = columns.filter((column) => values.servers.split(',').includes(column));
  if (servers.length !== values.servers.split(',').length)
    throw new Error(`--servers: of ${columns.join(',')}`);
  return { ...values, rounds, seconds, servers, plain: values.source === 'plain' };
}

/** @typedef {ReturnType<typeof readOptions>} Options */

/**
 * @param {Options} options
 * @param {Row[]} chosen
 */
function checkRequirements(options, chosen) {
  if (process.getuid?.() !== 0) {
    throw new Error('the benchmark mounts a FUSE tree and makes a network namespace: run it as root');
  }
  if (!existsSync('/dev/fuse')) throw new Error('/dev/fuse is missing: the benchmark serves a FUSE tree');
  const parts = new Set(chosen.map((row) => /** @type {string} */ (row.protocol)));
  if (options.servers.includes('peer')) {
    if (parts.has('nfs')) parts.add('ganesha');
    if (parts.has('smb')) parts.add('smbd');
  }
  const missing = missingPackages(parts);
  if (missing.length > 0) {
    if (!options.install) throw new Error(`missing: apt-get install ${missing.join(' ')}   (or --install)`);
    installPackages(missing);
  }
  const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
  if (options.servers.includes('holdfast') && !existsSync(main)) {
    throw new Error('dist/main.js is missing: npm run build first, or --servers peer,limit');
  }
}

/**
 * Writes the client's smb.conf for a protection: libsmbclient reads the signing option only from there.
 * @param {Sandbox} sandbox
 * @param {string} protection
 */
function clientConfig(sandbox, protection) {
  const path = join(sandbox.folder, `client-${protection}.conf`);
  const signing = protection === 'signed' ? 'required' : 'auto';
  const folder = sandbox.folder;
  writeFileSync(
    path,
    `[global]
  client signing = ${signing}
  client min protocol = SMB3_11
  lock directory = ${folder}
  state directory = ${folder}
  cache directory = ${folder}
  private dir = ${folder}
`,
  );
  return path;
}

/**
 * @param {Row} row
 * @param {Options} options
 * @param {Tree} tree
 */
function loadArguments(row, options, tree) {
  const seconds = `seconds=${options.seconds}`;
  if (row.mode === 'walk') return [`expect=${tree.objects}`];
  if (row.mode === 'list') return [`expect=${tree.entries}`, seconds, `once=${row.cold ? 1 : 0}`];
  if (row.mode === 'ends') return [`count=${options.quick ? 100 : row.films}`, 'once=1'];
  const warm = row.tree === 'slow' ? 0 : 1;
  return [`size=${row.size}`, `flight=${row.flight ?? 1}`, seconds, `warm=${warm}`];
}

/**
 * @param {Sandbox} sandbox
 * @param {Row} row
 * @param {Options} options
 * @param {Tree} tree
 * @param {Column} column
 * @param {Server | undefined} server none for the bare limit
 * @returns {Promise<Sample>}
 */
async function measure(sandbox, row, options, tree, column, server) {
  const commandFor = (
    /** @type {Row['mode']} */ mode,
    /** @type {string} */ path,
    /** @type {string[]} */ load,
  ) => clientCommand(sandbox, { ...row, mode }, tree, server, path, load);
  const pathOf = () => (row.mode === 'seq' || row.mode === 'random' ? tree.nextFile() : '/__all__');
  const load = loadArguments(row, options, tree);
  // The tree reports link count 0. A peer may pass that on; Holdfast must not.
  if (column === 'holdfast') load.push('links=1');
  const before = cpuSeconds(server);
  const viewers = Array.from({ length: row.viewers ?? 1 }, () =>
    runInside(sandbox, commandFor(row.mode, pathOf(), load)),
  );
  // A scanner beside the viewers, for as long as they read.
  const scan = [`seconds=${options.seconds}`];
  const scanner = row.viewers ? runInside(sandbox, commandFor('ends', '/__all__', scan)) : undefined;
  /** @type {Sample[]} */
  const samples = (await Promise.all(viewers)).map((text) => JSON.parse(text));
  await scanner;
  const [sample] = samples.toSorted((a, b) => a.bytes / a.seconds - b.bytes / b.seconds);
  if (!sample) throw new Error('no sample');
  if (server && row.mode === 'walk') return { ...sample, resident: residentBytes(server.pid) };
  const after = cpuSeconds(server);
  if (row.mode !== 'seq' || row.viewers || before === undefined || after === undefined) return sample;
  const moved = sample.bytes + (row.tree === 'slow' ? 0 : tree.fileBytes);
  return { ...sample, cpuPerGiB: ((after - before) * 2 ** 30) / moved };
}

/**
 * @param {Sandbox} sandbox
 * @param {Row} row
 * @param {Tree} tree
 * @param {Server | undefined} server
 * @param {string} path
 * @param {string[]} load
 * @returns {string[]}
 */
function clientCommand(sandbox, row, tree, server, path, load) {
  if (!server) {
    const isListing = row.mode === 'list' || row.mode === 'walk';
    const limit = isListing ? [row.mode, tree.path + path] : ['read', tree.path + path, row.mode];
    return [build('limit'), ...limit, ...load];
  }
  const { port, mountPort, share } = server.address;
  if (row.protocol === 'nfs')
    return [build('nfs-load'), '127.0.0.1', String(port), String(mountPort), share, row.mode, path, ...load];
  const protection = row.protection ?? 'plain';
  const user = protection === 'plain' ? ['-', ''] : [smbUser.name, smbUser.password];
  const config = clientConfig(sandbox, protection);
  return [
    build('smb-load'),
    '127.0.0.1',
    String(port),
    share,
    config,
    ...user,
    protection,
    row.mode,
    path,
    ...load,
  ];
}

/**
 * @param {Sandbox} sandbox
 * @param {Row} row
 * @param {Tree} tree
 * @param {Column} column
 * @returns {Promise<Server | undefined>}
 */
async function start(sandbox, row, tree, column) {
  if (column === 'limit') return undefined;
  if (column === 'holdfast')
    return startHoldfast(sandbox, tree, row.protocol, (row.protection ?? 'plain') !== 'plain');
  return row.protocol === 'nfs' ? startGanesha(sandbox, tree) : startSmbd(sandbox, tree);
}

/**
 * Runs one row. The servers alternate (A B A B) over the rounds, so that a drift of the machine affects all of them.
 * @param {Sandbox} sandbox
 * @param {Row} row
 * @param {Options} options
 * @param {Tree} tree
 * @returns {Promise<Result>}
 */
async function runRow(sandbox, row, options, tree) {
  /** @type {Result} */
  const result = { row, entries: tree.entries, objects: tree.objects, samples: {} };
  // The slow tree has no bare limit: the result would depend on the number of parallel requests.
  const servers = options.servers.filter((column) => column !== 'limit' || row.tree !== 'slow');
  /** @type {Map<Column, Server | undefined>} */
  const running = new Map();
  try {
    for (let round = 0; round < options.rounds; round++) {
      for (const column of servers) {
        if (!running.has(column)) running.set(column, await start(sandbox, row, tree, column));
        const sample = await measure(sandbox, row, options, tree, column, running.get(column));
        (result.samples[column] ??= []).push(sample);
        if (!row.cold) continue;
        await running.get(column)?.stop();
        running.delete(column);
      }
    }
  } finally {
    for (const server of running.values()) await server?.stop();
  }
  return result;
}

/**
 * @param {Options} options
 * @param {Row[]} chosen
 */
async function runAll(options, chosen) {
  const sandbox = createSandbox();
  /** @type {Map<string, Tree>} */
  const trees = new Map();
  const results = [];
  const failures = [];
  for (const row of chosen) {
    const kind = row.tree ?? 'fast';
    let tree = trees.get(kind);
    if (!tree) {
      tree = await mountTree(sandbox, kind, options.tree.split(',').filter(Boolean));
      if (options.plain) tree = copyTree(sandbox, tree);
      trees.set(kind, tree);
    }
    try {
      const result = await runRow(sandbox, row, options, tree);
      results.push(result);
      console.error(markdown([result]).split('\n')[2]);
    } catch (error) {
      failures.push(row.name);
      console.error(`${row.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { results, failures };
}

async function main() {
  const options = readOptions();
  if (options.help) return void console.log(usage);
  if (options.list)
    return void console.log(rows.map((row) => `${row.name.padEnd(24)}${row.what}`).join('\n'));
  const chosen = selectRows(options.only).filter((row) => !options.plain || row.tree === undefined);
  checkRequirements(options, chosen);
  const before = machine();
  const { results, failures } = await runAll(options, chosen);
  const after = machine().load;
  if (options.json) {
    const measured = results.map((result) => ({
      ...result.row,
      medians: Object.fromEntries(options.servers.map((column) => [column, summarise(result, column)])),
      samples: result.samples,
    }));
    console.log(
      JSON.stringify(
        { machine: { ...before, loadAfter: after }, source: options.source, rows: measured, failures },
        undefined,
        2,
      ),
    );
  } else {
    const { processors, model, kernel, node, load } = before;
    console.log(markdown(results));
    console.log(
      `\n${processors} × ${model}, Linux ${kernel}, Node ${node}, load ${load} before and ${after} after; ${options.rounds} rounds of ` +
        `${options.seconds} s, medians; source: ${options.source}, ${releases} releases. Ratios above 1 are in Holdfast's favour.`,
    );
  }
  if (failures.length > 0) throw new Error(`failed: ${failures.join(', ')}`);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
} finally {
  undoAll();
}

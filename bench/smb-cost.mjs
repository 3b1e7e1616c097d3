/**
 * Measures what a client can cost the SMB side of a gateway: the table in SECURITY.md.
 *
 *   npm run build && node bench/smb-cost.mjs [ROW…] [--checkout DIR] [--json]
 *
 * Each row starts a new gateway process from DIR (default: this checkout) and uses raw clients of this checkout.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { negotiateMessage } from '../protocols/smb2/dist/testing/ntlm-client.js';
import { RawClient, setupBody } from '../protocols/smb2/dist/testing/raw-client.js';
import { UserClient } from '../protocols/smb2/dist/testing/user-client.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    checkout: { type: 'string', default: new URL('..', import.meta.url).pathname },
    json: { type: 'boolean' },
  },
});
const { Buffer, performance } = globalThis;
const FILES = 20_000;
const MIB = 2 ** 20;
const [SESSION_SETUP, CREATE, READ, LOCK, ECHO, QUERY_DIRECTORY] = [1, 5, 8, 10, 13, 14];
const SUCCESS = 0;
const PENDING = 0x103;

const work = mkdtempSync(join(tmpdir(), 'smb-cost-'));
const many = join(work, 'many');
mkdirSync(many);
for (let index = 0; index < FILES; index++)
  writeFileSync(join(many, `Some.Release.${String(index).padStart(5, '0')}.2024.mkv`), '');
writeFileSync(join(many, 'film.mkv'), Buffer.alloc(64 * 1024));
writeFileSync(join(work, 'password'), 'correct horse\n');

const running = new Set();

/** Starts a gateway in a separate process. `clients`: the addresses that may connect. */
async function start(clients = '[127.0.0.0/8]') {
  const config = join(work, 'holdfast.yaml');
  writeFileSync(
    config,
    `exports:
  many: { path: ${many}, expectFuse: false, clients: ${clients} }
  shelf:
    path: ${many}
    expectFuse: false
    clients: ${clients}
    smb: { users: [{ name: media, passwordFile: ${work}/password }] }
smb: { listen: "127.0.0.1:0" }
nfs: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
`,
  );
  const main = join(resolve(values.checkout), 'dist/main.js');
  const child = spawn(process.execPath, [main, 'serve', '--config', config], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, XDG_RUNTIME_DIR: work },
  });
  running.add(child);
  const port = await new Promise((found) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = line.startsWith('{') ? JSON.parse(line) : {};
      if (entry.msg === 'listening' && entry.protocol === 'smb') found(entry.port);
    });
  });
  const clientsOpen = [];
  const status = (field) =>
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]);
  return {
    port,
    /** Resident memory in MiB. */
    memory: () => status('VmRSS') / 1024,
    /** CPU seconds used so far. */
    cpu: () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    raw: async () => {
      const client = await RawClient.connect(port);
      clientsOpen.push(client);
      return client;
    },
    guest: async () => {
      const client = await RawClient.connect(port);
      clientsOpen.push(client);
      await client.enter('many');
      return client;
    },
    stop: async () => {
      for (const client of clientsOpen) client.close();
      child.kill('SIGKILL');
      await once(child, 'close');
      running.delete(child);
    },
  };
}

/** The longest time in ms that an ECHO of another client waits while `work` runs. */
async function heldDuring(gateway, work) {
  const other = await gateway.guest();
  const body = Buffer.from([4, 0, 0, 0]);
  let held = 0;
  let done = false;
  const watching = (async () => {
    while (!done) {
      const began = performance.now();
      await other.request(ECHO, body);
      held = Math.max(held, performance.now() - began);
      await sleep(1);
    }
  })();
  await sleep(50);
  held = 0;
  const result = await work();
  done = true;
  await watching;
  return { held, result };
}

async function open(client, path, wanted) {
  const first = await client.request(CREATE, client.createBody(path, [], wanted));
  const reply = first?.status === PENDING ? await client.next() : first;
  if (reply?.status !== SUCCESS) return undefined;
  const at = 64 + 64;
  return { persistent: reply.packet.readBigUInt64LE(at), volatile: reply.packet.readBigUInt64LE(at + 8) };
}

function idInto(body, at, id) {
  body.writeBigUInt64LE(id.persistent, at);
  body.writeBigUInt64LE(id.volatile, at + 8);
  return body;
}

function directoryBody(id, pattern) {
  const name = Buffer.from(pattern, 'utf16le');
  const body = idInto(Buffer.alloc(32), 8, id);
  body.writeUInt16LE(33, 0);
  body[2] = 1;
  body[3] = 1;
  body.writeUInt16LE(96, 24);
  body.writeUInt16LE(name.length, 26);
  body.writeUInt32LE(65_536, 28);
  return Buffer.concat([body, name]);
}

function readBody(id, length) {
  const body = idInto(Buffer.alloc(49), 16, id);
  body.writeUInt16LE(49, 0);
  body[2] = 80;
  body.writeUInt32LE(length, 4);
  return body;
}

const fixed = (value, digits = 0) => value.toFixed(digits);

const rows = {
  'setups begun, none finished: 500 on each of 150 connections': async (gateway) => {
    const before = gateway.memory();
    let begun = 0;
    const one = async () => {
      const client = await gateway.raw();
      await client.negotiate();
      for (let index = 0; index < 500; index++) {
        client.sessionId = 0;
        const reply = await client.request(SESSION_SETUP, setupBody(negotiateMessage()));
        if (!reply) return;
        if (reply.status === 0xc0000016) begun++;
      }
    };
    await Promise.all(Array.from({ length: 150 }, one));
    return `${fixed(gateway.memory() - before)} MiB, ${begun} begun`;
  },
  'frames of 8 MiB on 150 connections, all but their last bytes sent': async (gateway) => {
    const before = gateway.memory();
    const frame = Buffer.alloc(8 * MIB);
    frame.writeUInt32BE(8 * MIB, 0);
    for (let index = 0; index < 150; index++) (await gateway.guest()).sendRaw(frame);
    await sleep(4000);
    return `${fixed(gateway.memory() - before)} MiB`;
  },
  'pattern *? × 127 over 20,000 names': async (gateway) => {
    const client = await gateway.guest();
    const id = await open(client, '', { desiredAccess: 0x81 });
    await client.request(QUERY_DIRECTORY, directoryBody(id, '*'));
    // Other work on the machine delays the event loop too: the minimum of several runs is that of the listing alone.
    let [least, total] = [Infinity, Infinity];
    for (let round = 0; round < 7; round++) {
      const began = performance.now();
      const { held } = await heldDuring(gateway, () =>
        client.request(QUERY_DIRECTORY, directoryBody(id, '*?'.repeat(127))),
      );
      least = Math.min(least, held);
      total = Math.min(total, performance.now() - began);
    }
    return `loop held ${fixed(least, 1)} ms, ${fixed(total)} ms in all, the least of seven`;
  },
  '20 names of the shape 8.3 that do not exist': async (gateway) => {
    const client = await gateway.guest();
    await open(client, 'SOMEFFF~.MKV');
    const { held, result } = await heldDuring(gateway, async () => {
      const began = performance.now();
      for (let index = 0; index < 20; index++) await open(client, `SOME${(256 + index).toString(16)}~.MKV`);
      return performance.now() - began;
    });
    return `${fixed(result)} ms, loop held ${fixed(held, 1)} ms`;
  },
  'a name that does not exist, in a folder of 20,000': async (gateway) => {
    const client = await gateway.guest();
    await open(client, 'warm.nfo');
    const round = async (count) => {
      const before = gateway.cpu();
      for (let index = 0; index < count; index++) await open(client, 'Some.Release.00042.2024.nfo');
      return ((gateway.cpu() - before) / count) * 1e6;
    };
    await round(50);
    return `${fixed(await round(400))} µs of CPU each, the whole CREATE`;
  },
  '16,000 locks of a guest, and a lock of everything: can others read?': async (gateway) => {
    const one = await gateway.guest();
    const two = await gateway.guest();
    const mine = await open(one, 'film.mkv');
    const theirs = await open(two, 'film.mkv');
    const lock = (offset, length) => {
      const body = idInto(Buffer.alloc(48), 8, mine);
      body.writeUInt16LE(48, 0);
      body.writeUInt16LE(1, 2);
      body.writeBigUInt64LE(offset, 24);
      body.writeBigUInt64LE(length, 32);
      body.writeUInt32LE(0x12, 40);
      return one.request(LOCK, body);
    };
    let locks = 0;
    for (let index = 0; index < 16_000; index++)
      if ((await lock(BigInt(index) * 4n + 2n ** 40n, 2n))?.status === SUCCESS) locks++;
    await lock(0n, 65_536n);
    const began = performance.now();
    let failed = 0;
    for (let index = 0; index < 200; index++)
      if ((await two.request(READ, readBody(theirs, 4096)))?.status !== SUCCESS) failed++;
    return `${locks} locks; of 200 reads by others ${failed} fail, ${fixed(((performance.now() - began) / 200) * 1000)} µs each`;
  },
  'share mode none of a guest: can others open?': async (gateway) => {
    const one = await gateway.guest();
    const two = await gateway.guest();
    await open(one, 'film.mkv', { shareAccess: 0 });
    return (await open(two, 'film.mkv')) ? 'yes' : 'no';
  },
  'passwords guessed in 5 s over 20 connections, guest logons between': async (gateway) => {
    let guesses = 0;
    let stop = false;
    const one = async () => {
      for (let index = 0; !stop; index++) {
        const client = await UserClient.connectUser(gateway.port);
        await client.negotiateAs();
        const options = index % 4 === 3 ? {} : { user: 'media', password: `guess ${index}` };
        const reply = await Promise.race([client.logOn(options), sleep(6000, undefined, { ref: false })]);
        if (reply?.status === 0xc000006d) guesses++;
        client.close();
      }
    };
    const all = Promise.allSettled(Array.from({ length: 20 }, one));
    await sleep(5000);
    stop = true;
    const result = `${fixed(guesses / 5, 1)} a second`;
    await Promise.race([all, sleep(2000)]);
    return result;
  },
  'opens of one address, over three sessions': async (gateway) => {
    const before = gateway.memory();
    let opened = 0;
    for (let session = 0; session < 3; session++) {
      const client = await gateway.guest();
      for (let index = 0; index < 16_384; index += 16) {
        const asked = Array.from({ length: 16 }, () => client.request(CREATE, client.createBody('film.mkv')));
        opened += (await Promise.all(asked)).filter((reply) => reply?.status === SUCCESS).length;
      }
    }
    return `${opened} opens, ${fixed(gateway.memory() - before)} MiB`;
  },
  'an address of no share': async () => {
    const gateway = await start('[10.0.0.0/8]');
    try {
      const socket = connect(gateway.port, '127.0.0.1');
      await once(socket, 'connect');
      const client = new RawClient(socket);
      const reply = await Promise.race([client.negotiate(), sleep(1000)]);
      client.close();
      return reply ? 'reaches authentication' : 'refused at accept';
    } finally {
      await gateway.stop();
    }
  },
};

const results = {};
try {
  for (const [name, run] of Object.entries(rows)) {
    if (positionals.length > 0 && !positionals.some((part) => name.includes(part))) continue;
    const gateway = await start();
    try {
      results[name] = await run(gateway);
    } finally {
      await gateway.stop();
    }
    if (!values.json) console.log(`| ${name} | ${results[name]} |`);
  }
} finally {
  for (const child of running) child.kill('SIGKILL');
  rmSync(work, { recursive: true, force: true });
}
if (values.json) console.log(JSON.stringify(results, undefined, 1));

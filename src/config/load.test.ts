import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, type ConfigFlags } from './load.ts';
import { ConfigError } from './problems.ts';

let folder: string;
let count = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'));
  mkdirSync(join(folder, 'media'));
  writeFileSync(join(folder, 'password'), 'hunter2\n');
  writeFileSync(join(folder, 'hash'), '8846F7EAEE8FB117AD06BDD830B7586C\n');
  writeFileSync(join(folder, 'empty'), '');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Given {
  readonly yaml?: string;
  readonly flags?: ConfigFlags;
  readonly env?: Record<string, string>;
  readonly root?: boolean;
}

function load({ yaml, flags = {}, env = {}, root = false }: Given) {
  const config = yaml === undefined ? flags.config : join(folder, `${++count}.yaml`);
  if (yaml !== undefined && config !== undefined) writeFileSync(config, yaml);
  return loadConfig({ flags: { ...flags, config }, env, cwd: folder, root });
}

/** The lines of the error message, with the file's path shortened to `file`. */
function refusal(given: Given): string[] {
  try {
    load(given);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    const lines = (error as Error).message.split('\n');
    return lines.map((line) =>
      line.replaceAll(join(folder, `${count}.yaml`), 'file').replaceAll(folder, 'FOLDER'),
    );
  }
  throw new Error('not refused');
}

describe('loadConfig', () => {
  it('serves a path with nothing else to the private ranges', () => {
    const config = load({ flags: { path: 'media' } });
    expect(config.exports).toHaveLength(1);
    const [dfs] = config.exports;
    expect(dfs).toMatchObject({
      name: 'dfs',
      path: join(folder, 'media'),
      expectFuse: true,
      mounts: 'auto',
      readOnly: true,
      times: 'auto',
      failAfter: Infinity,
      nfs: { squash: 'root', uid: 65534, gid: 65534 },
      smb: {
        guest: true,
        users: [],
        encrypt: false,
        persistentHandles: false,
        followSymlinks: false,
        links: [],
      },
    });
    for (const rule of [dfs!.nfs.clients, dfs!.smb.clients]) {
      expect(rule.allows('192.168.1.5')).toBe(true);
      expect(rule.allows('8.8.8.8')).toBe(false);
    }
    expect(config).toMatchObject({
      identity: 'holdfast',
      log: { level: 'info' },
      file: undefined,
      state: undefined,
    });
    expect(config.nfs).toEqual({
      listen: { host: '0.0.0.0', port: 12049 },
      mountListen: undefined,
      portmap: 'auto',
    });
    expect(config.smb.listen.port).toBe(1445);
    expect(config.admin.listen.port).toBe(9445);
  });

  it('takes the standard ports as root', () => {
    const config = load({ flags: { path: 'media' }, root: true });
    expect([config.nfs.listen.port, config.smb.listen.port, config.admin.listen.port]).toEqual([
      2049, 445, 9445,
    ]);
  });

  it('is frozen', () => {
    const config = load({ flags: { path: 'media' } });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.exports)).toBe(true);
    expect(Object.isFrozen(config.exports[0]?.nfs)).toBe(true);
  });

  it('puts flags before environment before file before defaults', () => {
    const yaml = 'exports: { dfs: { path: media } }\nnfs: { listen: "127.0.0.1:1" }\nidentity: file\n';
    const env = { HOLDFAST_NFS_LISTEN: '127.0.0.1:2', HOLDFAST_IDENTITY: 'env', HOLDFAST_LOG_LEVEL: 'warn' };
    expect(load({ yaml }).nfs.listen.port).toBe(1);
    expect(load({ yaml, env }).nfs.listen.port).toBe(2);
    const config = load({ yaml, env, flags: { nfs: '[::1]:3' } });
    expect(config).toMatchObject({
      nfs: { listen: { host: '::1', port: 3 } },
      identity: 'env',
      log: { level: 'warn' },
    });
  });

  it('lets servers share a port at different addresses, and any number of them choose a free one', () => {
    const yaml = 'exports: { dfs: { path: media } }\n';
    const same = 'nfs: { listen: "0.0.0.0:7" }\nsmb: { listen: "[::1]:7" }\n';
    expect(load({ yaml: yaml + same }).smb.listen.port).toBe(7);
    const free = 'nfs: { listen: "0.0.0.0:0" }\nsmb: { listen: "0.0.0.0:0" }\n';
    expect(load({ yaml: yaml + free }).smb.listen.port).toBe(0);
  });

  it('finds the file by HOLDFAST_CONFIG', () => {
    writeFileSync(join(folder, 'by-env.yaml'), 'exports: { films: { path: media } }');
    const config = load({ env: { HOLDFAST_CONFIG: 'by-env.yaml' } });
    expect(config.exports[0]?.name).toBe('films');
    expect(config.file).toBe(join(folder, 'by-env.yaml'));
  });

  it('adds PATH to the exports of the file, or replaces the path of one', () => {
    const yaml = 'exports: { dfs: { path: /, nfs: { squash: all } } }';
    const replaced = load({ yaml, flags: { path: 'media', expectFuse: false } });
    expect(replaced.exports).toMatchObject([
      { name: 'dfs', path: join(folder, 'media'), expectFuse: false, nfs: { squash: 'all' } },
    ]);
    const added = load({ yaml, flags: { path: 'media', name: 'films' } });
    expect(added.exports.map(({ name }) => name)).toEqual(['dfs', 'films']);
    expect(load({ yaml, flags: { expectFuse: false } }).exports[0]?.expectFuse).toBe(false);
  });

  it('uses nfs.clients instead of clients, for NFS only', () => {
    const yaml = 'exports: { dfs: { path: media, clients: [10.0.0.0/8], nfs: { clients: [192.0.2.1] } } }';
    const [dfs] = load({ yaml }).exports;
    expect(dfs?.nfs.clients.ranges).toEqual(['192.0.2.1']);
    expect(dfs?.smb.clients.ranges).toEqual(['10.0.0.0/8']);
  });

  it('reads secrets from files and the environment, and shows them nowhere', () => {
    const yaml = `exports:
  dfs:
    path: media
    smb:
      users:
        - { name: one, passwordFile: password }
        - { name: two, ntHashFile: hash }
        - { name: three, passwordEnv: SECRET }
`;
    const config = load({ yaml, env: { SECRET: 'tr0ub4dor' } });
    const users = config.exports[0]!.smb.users;
    expect(users.map(({ secret }) => [secret.kind, secret.reveal()])).toEqual([
      ['password', 'hunter2'],
      ['ntHash', '8846f7eaee8fb117ad06bdd830b7586c'],
      ['password', 'tr0ub4dor'],
    ]);
    for (const text of [JSON.stringify(config), inspect(config, { depth: 9 }), String(users[0]?.secret)])
      expect(text).not.toMatch(/hunter2|8846f7|tr0ub/i);
  });

  it('reads the configuration of another machine without looking for its folders and secrets', () => {
    const yaml = 'exports: { dfs: { path: /not/here, smb: { users: [{ name: a, passwordFile: none }] } } }';
    writeFileSync(join(folder, 'elsewhere.yaml'), yaml);
    const config = loadConfig({ flags: { config: 'elsewhere.yaml' }, env: {}, cwd: folder, elsewhere: true });
    expect(config.exports[0]).toMatchObject({ path: '/not/here', smb: { guest: false, users: [] } });
  });

  it('throws nothing but ConfigError for any text', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'exports:',
        'dfs: ',
        '{',
        '}',
        '[',
        ']',
        ': ',
        '- ',
        '&a ',
        '*a',
        '\n  ',
        '<<: ',
        '__proto__: ',
      ),
      fc.constantFrom(
        'path: media',
        'nfs:',
        'clients: [10.0.0.0/8]',
        '"',
        '|\n',
        '!x ',
        '? ',
        'null',
        '%YAML 1.1',
      ),
      fc.string({ maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          load({ yaml: pieces.join('') });
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('mounts and links', () => {
  it('are places below the export, and other exports with the paths by which links know them', () => {
    const yaml = `
exports:
  library: { path: media, expectFuse: false, mounts: [torrents, a/b], followSymlinks: { dfs: /data/dfs, films: [] } }
  dfs: { path: media, smb: { followSymlinks: true } }
  films: { path: media, followSymlinks: [dfs] }
`;
    const [library, dfs, films] = load({ yaml }).exports;
    const own = join(folder, 'media');
    expect(library!.mounts).toEqual(['torrents', 'a/b']);
    expect(library!.smb).toMatchObject({
      followSymlinks: true,
      links: [
        { name: 'dfs', paths: [own, '/data/dfs'] },
        { name: 'films', paths: [own] },
      ],
    });
    expect(dfs!.smb).toMatchObject({ followSymlinks: true, links: [] });
    expect(films!.smb).toMatchObject({ followSymlinks: true, links: [{ name: 'dfs', paths: [own] }] });
  });
});

describe('a refused configuration has one line for each problem', () => {
  const clientsAllowed = 'expected an address or CIDR range such as "10.0.0.0/8" or "fd00::/8"';

  it.each<[string, string, string[]]>([
    [
      'unknown key',
      'exports:\n  dfs:\n    path: media\n    expectFuze: false\n',
      [
        'file:4:5: exports.dfs.expectFuze: unknown key (did you mean expectFuse?); expected one of path, expectFuse, mounts, followSymlinks, readOnly, clients, uid, gid, smb, nfs, times, failAfter, readDeadline, verdict, idleClose, readAhead',
      ],
    ],
    [
      'sizes with other units',
      'exports: { dfs: { path: media, readAhead: { max: 5MB } } }\ncache: { memory: 256MB }\n',
      [
        'file:1:50: exports.dfs.readAhead.max: "5MB" is not allowed here; expected a size such as "256MiB" (KiB, MiB, GiB, or a number of bytes)',
        'file:2:18: cache.memory: "256MB" is not allowed here; expected a size such as "256MiB" (KiB, MiB, GiB, or a number of bytes)',
      ],
    ],
    [
      'a state folder in a file',
      'exports: { dfs: { path: media } }\nstate: empty/x\n',
      [
        'file:2:8: state: FOLDER/empty is not a folder; expected a folder that this user can write to, or a place where it can be made',
      ],
    ],
    [
      'a state folder of the kernel',
      'exports: { dfs: { path: media } }\nstate: /proc/nope\n',
      [
        'file:2:8: state: /proc is of type proc, in which no folder can be made; expected a folder that this user can write to, or a place where it can be made',
      ],
    ],
    [
      'servers at the same address',
      'exports: { dfs: { path: media } }\nnfs: { listen: "0.0.0.0:9445", mountListen: "[::]:7" }\nsmb: { listen: "127.0.0.1:7" }\n',
      [
        'file:3:16: smb.listen: nfs.mountListen ([::]:7) takes the same address and port; expected a port of its own for each',
        'file:2:16: nfs.listen: admin.listen (127.0.0.1:9445) takes the same address and port; expected a port of its own for each',
      ],
    ],
    [
      'a mount outside of its export',
      'exports: { dfs: { path: media, mounts: [../other] } }\n',
      [
        'file:1:41: exports.dfs.mounts[0]: "../other" is not allowed here; expected a path below the export such as "torrents", without "." and ".."',
      ],
    ],
    [
      'links into an export that is none, and into itself',
      'exports:\n  dfs: { path: media, followSymlinks: [films, dfs] }\n',
      ['films', 'dfs'].map(
        (name) =>
          `file:2:39: exports.dfs.followSymlinks: no other export is named ${name}; expected names of other exports`,
      ),
    ],
    [
      'wrong type',
      'exports: { dfs: { path: 7 } }\nnfs: off\n',
      [
        'file:1:25: exports.dfs.path: 7 is not allowed here; expected the folder where the FUSE tree is mounted',
        'file:2:6: nfs: "off" is not allowed here; expected a mapping with listen, mountListen, portmap',
      ],
    ],
    [
      'missing path',
      'exports:\n  dfs: {}\n',
      ['file:2:3: exports.dfs.path: missing; expected the folder where the FUSE tree is mounted'],
    ],
    [
      'bad CIDR',
      'exports:\n  dfs:\n    path: media\n    nfs:\n      clients: [10.0.0.0/8, 10.0.0.0/40]\n',
      [`file:5:29: exports.dfs.nfs.clients[1]: "10.0.0.0/40" is not allowed here; ${clientsAllowed}`],
    ],
    [
      'bad endpoint',
      'exports: { dfs: { path: media } }\nnfs: { listen: 0.0.0.0 }\nsmb: { listen: "[::]:99999" }\n',
      [
        'file:3:16: smb.listen: "[::]:99999" is not allowed here; expected HOST:PORT such as "0.0.0.0:445" or "[::]:445" (ports 0 to 65535)',
        'file:2:16: nfs.listen: "0.0.0.0" is not allowed here; expected HOST:PORT such as "0.0.0.0:2049" or "[::]:2049" (ports 0 to 65535)',
      ],
    ],
    [
      'duplicate key',
      'exports:\n  dfs: { path: media }\n  dfs: { path: media }\n',
      ['file:3:3: exports.dfs: given twice (first in line 2); expected once'],
    ],
    [
      'export names that SMB cannot tell apart',
      'exports:\n  dfs: { path: media }\n  DFS: { path: media }\n',
      ['file:3:3: exports.DFS: the same export name as dfs; expected names that differ in more than case'],
    ],
    [
      'bad export name',
      'exports:\n  a/b: { path: media }\n',
      [
        'file:2:3: exports."a/b": "a/b" is not allowed here; expected a name of 1 to 80 letters, digits, ".", "_" and "-" that begins with a letter or digit',
      ],
    ],
    [
      'path that does not exist',
      'exports: { dfs: { path: nowhere, expectFuse: false } }',
      ['file:1:25: exports.dfs.path: FOLDER/nowhere does not exist; expected a folder'],
    ],
    [
      'path that is a file',
      'exports: { dfs: { path: password } }',
      [
        'file:1:25: exports.dfs.path: FOLDER/password is not a folder; expected the folder on which the FUSE tree is or will be mounted',
      ],
    ],
    [
      'writable export',
      'exports: { dfs: { path: media, readOnly: false } }',
      [
        'file:1:42: exports.dfs.readOnly: false is not allowed here; expected true (read-write exports are not supported)',
      ],
    ],
    [
      'no exports',
      'exports: {}',
      ['file:1:10: exports: empty; expected at least one export such as { dfs: { path: /mnt/dfs } }'],
    ],
    [
      'empty file',
      '',
      [
        'file:1:1: exports: missing; expected a mapping of export names such as { dfs: { path: /mnt/dfs } }, or PATH on the command line',
      ],
    ],
    ['list', '- a', ['file:1:1: a list is not allowed here; expected a mapping with exports']],
    [
      'empty section',
      'exports: { dfs: { path: media } }\nnfs:\n',
      ['file:2:5: nfs: empty; expected a mapping with listen, mountListen, portmap'],
    ],
    [
      'guests and users',
      'exports: { dfs: { path: media, smb: { guest: true, users: [{ name: a, passwordFile: password }] } } }',
      ['file:1:37: exports.dfs.smb: expected either guest: true or users'],
    ],
    [
      'guests who would have to encrypt',
      'exports: { dfs: { path: media, smb: { encrypt: true } } }',
      ['file:1:37: exports.dfs.smb: expected users where encrypt is true: guests have no key'],
    ],
    [
      'guests who would have to sign',
      'exports: { dfs: { path: media } }\nsmb: { signing: required }',
      [
        'file:2:17: smb.signing: "required" shuts out export dfs, whose guests have no key for it; expected "auto", or users instead of guests',
      ],
    ],
    [
      'two secrets',
      'exports: { dfs: { path: media, smb: { users: [{ name: a, passwordFile: password, passwordEnv: P }] } } }',
      ['file:1:47: exports.dfs.smb.users[0]: expected exactly one of passwordFile, passwordEnv, ntHashFile'],
    ],
    [
      'secrets that are not there',
      `exports:
  dfs:
    path: media
    smb:
      users:
        - { name: one, passwordFile: nothing }
        - { name: two, ntHashFile: password }
        - { name: ONE, passwordEnv: NOT_SET }
        - { name: four, passwordFile: empty }
`,
      [
        'file:6:38: exports.dfs.smb.users[0].passwordFile: FOLDER/nothing cannot be read (ENOENT); expected a readable file with the password',
        'file:7:36: exports.dfs.smb.users[1].ntHashFile: FOLDER/password does not hold 32 hexadecimal digits; expected a readable file with the NT hash',
        'file:8:19: exports.dfs.smb.users[2].name: given twice; expected each user once',
        'file:8:37: exports.dfs.smb.users[2].passwordEnv: the environment variable NOT_SET is not set; expected a variable that holds the password',
        'file:9:39: exports.dfs.smb.users[3].passwordFile: FOLDER/empty is empty; expected a readable file with the password',
      ],
    ],
    [
      'a password in the file itself, which is not repeated',
      'exports: { dfs: { path: media, smb: { users: [{ name: a, passwordEnv: P, password: hunter2 }] } } }',
      [
        'file:1:74: exports.dfs.smb.users[0].password: unknown key; expected one of name, passwordFile, passwordEnv, ntHashFile, uid, gid',
      ],
    ],
  ])('%s', (_, yaml, lines) => {
    expect(refusal({ yaml })).toEqual(lines);
  });

  it('reports the syntax error of a text that is not YAML', () => {
    const [line, ...rest] = refusal({ yaml: 'exports:\n  dfs: { path: media\nnfs: {}\n' });
    expect(line).toMatch(/^file:3:1: .*flow/i);
    expect(rest.every((one) => /^file:\d+:\d+: /.test(one))).toBe(true);
  });

  it('names the flag or variable', () => {
    const flags = { path: 'media', nfs: 'here', name: 'a b' };
    expect(refusal({ flags, env: { HOLDFAST_LOG_LEVEL: 'loud', HOLDFAST_SMB_LISTEN: ':445' } })).toEqual([
      '--name: exports."a b": "a b" is not allowed here; expected a name of 1 to 80 letters, digits, ".", "_" and "-" that begins with a letter or digit',
      'HOLDFAST_SMB_LISTEN: smb.listen: ":445" is not allowed here; expected HOST:PORT such as "0.0.0.0:445" or "[::]:445" (ports 0 to 65535)',
      '--nfs: nfs.listen: "here" is not allowed here; expected HOST:PORT such as "0.0.0.0:2049" or "[::]:2049" (ports 0 to 65535)',
      'HOLDFAST_LOG_LEVEL: log.level: "loud" is not allowed here; expected "fatal", "error", "warn", "info", "debug", "trace", "silent"',
    ]);
    expect(refusal({ flags: { path: 'nowhere', expectFuse: false } })).toEqual([
      'PATH: exports.dfs.path: FOLDER/nowhere does not exist; expected a folder',
    ]);
  });

  it('names a file that cannot be read', () => {
    expect(refusal({ flags: { config: 'no.yaml' } })).toEqual([
      '--config: FOLDER/no.yaml cannot be read (ENOENT); expected a YAML file',
    ]);
  });

  it('names a variable that is nearly one of ours, and leaves those of Kubernetes alone', () => {
    const flags = { path: 'media' };
    expect(refusal({ flags, env: { HOLDFAST_NSF_LISTEN: '' } })[0]).toMatch(
      /^HOLDFAST_NSF_LISTEN: unknown variable \(did you mean HOLDFAST_NFS_LISTEN\?\)/,
    );
    const env = {
      HOLDFAST_PORT: 'tcp://10.0.0.1:445',
      HOLDFAST_PORT_445_TCP: '',
      HOLDFAST_NFS_SERVICE_HOST: '',
      HOLDFAST_SERVICE_PORT_NFS: '',
      HOLDFAST_TEST_RUN: '1',
    };
    expect(load({ flags, env }).exports).toHaveLength(1);
  });

  it('says what is missing when nothing is given at all', () => {
    expect(refusal({})).toEqual([
      'exports: missing; expected a mapping of export names such as { dfs: { path: /mnt/dfs } }, or PATH on the command line',
    ]);
  });
});

/**
 * The schema of the configuration. The `error` of each field describes the allowed values, worded to follow "expected".
 * The JSON Schema in deploy/ and all messages about a refused configuration come from this declaration.
 */
import * as z from 'zod';
import { isRange, privateRanges } from './cidr.ts';
import { parseEndpoint } from './endpoint.ts';
import { usualReadAhead } from '../cache/limits.ts';
import { parseSize } from './size.ts';
import { SourceLimits } from '../source/limits.ts';
import { logLevels } from '../log/index.ts';
import { restartPolicies } from '../supervise/policies.ts';

const endpoint = (example: string) => {
  const allowed = `HOST:PORT such as "${example}" or "[::]:${example.split(':')[1]!}" (ports 0 to 65535)`;
  return z
    .string({ error: allowed })
    .regex(/^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, { error: allowed, abort: true })
    .refine((text) => parseEndpoint(text) !== undefined, allowed);
};

const filePath = (what: string) => z.string({ error: what }).min(1, what);

const clients = z.array(
  z
    .string({ error: 'an address or CIDR range such as "10.0.0.0/8" or "fd00::/8"' })
    .refine(isRange, 'an address or CIDR range such as "10.0.0.0/8" or "fd00::/8"'),
  { error: 'a list of addresses and CIDR ranges such as ["10.0.0.0/8"]' },
);

/** Whether a path stays below where it starts, in its canonical form. */
const isPlaceBelow = (path: string): boolean =>
  !path.includes('\0') && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');

const yesOrNo = z.boolean({ error: 'true or false' });

const id = (what: string) => {
  const allowed = `a ${what} (0 to 4294967294)`;
  return z.int({ error: allowed }).min(0, allowed).max(4294967294, allowed);
};

const hostName = z
  .string({ error: 'a host name such as "gateway.example"' })
  .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/, 'a host name such as "gateway.example"');

const variableName = z
  .string({ error: 'the name of an environment variable' })
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable');

const oneSecret = 'exactly one of passwordFile, passwordEnv, ntHashFile';

const smbUser = z
  .strictObject(
    {
      name: z
        .string({
          error: 'a user name of 1 to 104 characters without control characters and any of "/\\[]:;|=,+*?<>@',
        })
        .regex(
          // eslint-disable-next-line no-control-regex
          /^[^\u0000-\u001f\u007f"/\\[\]:;|=,+*?<>@]{1,104}$/,
          'a user name of 1 to 104 characters without control characters and any of "/\\[]:;|=,+*?<>@',
        )
        .describe('User name of NTLMv2, compared without case.'),
      passwordFile: filePath('the path of a file that holds the password')
        .optional()
        .describe('File with the password; a final line break is not part of it.'),
      passwordEnv: variableName.optional().describe('Environment variable that holds the password.'),
      ntHashFile: filePath('the path of a file that holds the NT hash')
        .optional()
        .describe('File with the NT hash (MD4 of the password in UTF-16LE) as 32 hexadecimal digits.'),
      uid: id('user id')
        .optional()
        .describe('User id that this user acts as. Default: the `uid` of the export.'),
      gid: id('group id')
        .optional()
        .describe('Group id that this user acts as. Default: the `gid` of the export.'),
    },
    { error: 'a user such as { name: media, passwordFile: /run/secrets/media }' },
  )
  .refine(
    (user) =>
      [user.passwordFile, user.passwordEnv, user.ntHashFile].filter((secret) => secret !== undefined)
        .length === 1,
    { error: oneSecret },
  );

const smbAccess = z
  .strictObject(
    {
      guest: yesOrNo
        .optional()
        .describe('Anyone may read without a password. Default: true if there are no users.'),
      users: z
        .array(smbUser, {
          error: 'a list of users such as [{ name: media, passwordFile: /run/secrets/media }]',
        })
        .min(1, 'at least one user')
        .optional()
        .describe('Who may read, by NTLMv2.'),
      encrypt: yesOrNo
        .default(false)
        .describe('true: only clients that encrypt (SMB 3) may use this share; it needs users.'),
      persistentHandles: yesOrNo
        .default(false)
        .describe(
          'Offers handles that outlive connections and gateways (SMB 3 continuous availability); they need no state here.',
        ),
      followSymlinks: yesOrNo
        .default(false)
        .describe('true: the same as followSymlinks: within at the export.'),
    },
    { error: 'a mapping with guest, users, encrypt, persistentHandles, followSymlinks' },
  )
  .refine((smb) => (smb.users ? smb.guest !== true : smb.guest !== false), {
    error: 'either guest: true or users',
  })
  .refine((smb) => !smb.encrypt || smb.users, { error: 'users where encrypt is true: guests have no key' });

const nfsAccess = z.strictObject(
  {
    clients: clients
      .optional()
      .describe('Who may use NFS; replaces the `clients` of the export. An empty list: nobody.'),
    squash: z
      .enum(['none', 'root', 'all'], { error: '"none", "root" or "all"' })
      .default('root')
      .describe('The callers whose ids are replaced by uid and gid: none, root, or all.'),
    uid: id('user id')
      .optional()
      .describe('User id that squashed callers act as. Default: the `uid` of the export.'),
    gid: id('group id')
      .optional()
      .describe('Group id that squashed callers act as. Default: the `gid` of the export.'),
  },
  { error: 'a mapping with clients, squash, uid, gid' },
);

export const exportNameRule =
  'a name of 1 to 80 letters, digits, ".", "_" and "-" that begins with a letter or digit';
const exportNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/;
const exportName = z.string().regex(exportNamePattern, exportNameRule);
export const isExportName = (text: string): boolean => exportNamePattern.test(text);

const linkPath = z
  .string({ error: 'an absolute path such as "/mnt/dfs"' })
  .regex(/^\//, 'an absolute path such as "/mnt/dfs"');
const linkRule =
  '"never", "within", a list of exports such as [dfs], or a mapping of exports to the paths by which links know them such as { dfs: /mnt/dfs }';

const mountPlaces = '"auto", or a list of places below the export such as [torrents, "films/new"]';
const mountPlace = z
  .string({ error: 'a path below the export such as "torrents"' })
  .max(4096, 'a path below the export such as "torrents"')
  .refine(isPlaceBelow, 'a path below the export such as "torrents", without "." and ".."');
const sizeRule = 'a size such as "256MiB" (KiB, MiB, GiB, or a number of bytes)';
const size = z
  .union([z.int(sizeRule).min(0, sizeRule), z.string().regex(/^\d{1,15}(KiB|MiB|GiB)$/, sizeRule)], {
    error: sizeRule,
  })
  .transform(parseSize);

const seconds = 'a number of seconds above 0';
const verdictRange = 'a number of seconds above 0 and at most 10';

const exportSettings = z.strictObject(
  {
    path: filePath('the folder where the FUSE tree is mounted').describe(
      'The folder to serve; a relative path starts at the folder of this file.',
    ),
    expectFuse: yesOrNo
      .default(true)
      .describe(
        'Wait for a FUSE mount at the path and never serve what lies underneath. false: a plain folder.',
      ),
    mounts: z
      .union([z.literal('auto'), z.array(mountPlace)], { error: mountPlaces })
      .default('auto')
      .describe(
        'Mounts below the path. auto: a mount that was seen once is expected from then on, with `state` also after a restart. A list: these mounts are expected from the start. The folder below an expected mount is never served.',
      ),
    followSymlinks: z
      .union(
        [
          z.enum(['never', 'within']),
          z.array(exportName),
          z.record(exportName, z.union([linkPath, z.array(linkPath)])),
        ],
        { error: linkRule },
      )
      .optional()
      .describe(
        'Symlinks that the gateway follows for SMB clients, instead of showing them as links. within: links inside the export. Exports: also links into these, by their own paths or by the given ones. NFS clients follow links themselves. Default never.',
      ),
    readOnly: z
      .literal(true, { error: 'true (read-write exports are not supported)' })
      .default(true)
      .describe('Exports are read-only.'),
    clients: clients
      .default([...privateRanges])
      .describe('Who may connect, by either protocol: addresses and CIDR ranges. An empty list: nobody.'),
    uid: id('user id')
      .optional()
      .describe(
        'User id for callers without an id of their own: SMB users and guests, and squashed NFS callers. Default: the `uid` of `nfs`, else 65534.',
      ),
    gid: id('group id')
      .optional()
      .describe('Group id of the same callers. Default: the `gid` of `nfs`, else 65534.'),
    smb: smbAccess.prefault({}).describe('Access by SMB.'),
    nfs: nfsAccess.prefault({}).describe('Access by NFS.'),
    times: z
      .enum(['auto', 'source'], { error: '"auto" or "source"' })
      .default('auto')
      .describe(
        'auto: modification times that follow the clock are pinned. source: as the source reports them.',
      ),
    failAfter: z
      .number({ error: seconds })
      .positive(seconds)
      .optional()
      .describe(
        'Seconds that requests wait for an absent source before they fail. Without it they wait until it returns.',
      ),
    readDeadline: z
      .number({ error: seconds })
      .positive(seconds)
      .default(SourceLimits.readDeadline / 1000)
      .describe(
        'Seconds after which an unanswered read counts as an error of its file. Choose more than the limit of the FUSE daemon itself (120 s for Decypharr): a waiting read does not delay other files.',
      ),
    verdict: z
      .number({ error: verdictRange })
      .positive(verdictRange)
      .max(10, verdictRange)
      .default(SourceLimits.verdict / 1000)
      .describe(
        'Seconds for which an error of a recently healthy file is held back, as the daemon may be stopping. A daemon that takes longer to stop needs more.',
      ),
    idleClose: z
      .number({ error: seconds })
      .positive(seconds)
      .optional()
      .describe(
        'Seconds without reads after which a file is closed at the source. Many daemons read ahead while a file is open. Default: 0.15, and 10.5 for a file that is read as a stream.',
      ),
    readAhead: z
      .strictObject(
        {
          max: size.describe('Maximum bytes to read ahead of a reader; 0: none.'),
          start: size
            .default(usualReadAhead.start)
            .describe(
              'Bytes that a reader must have read in order before reading ahead begins. Default 2MiB.',
            ),
        },
        { error: 'a mapping with max and start' },
      )
      .optional()
      .describe(
        'How far the gateway reads ahead of sequential readers. Default: 16 MiB, after 2 MiB were read in order; for Decypharr, which fetches ahead itself, 4 MiB after 8 MiB.',
      ),
  },
  { error: 'a mapping with path' },
);

const commandRule = 'a program and its arguments such as [rclone, mount, "torbox:", /mnt/torbox]';

const child = z.strictObject(
  {
    name: z
      .string({ error: exportNameRule })
      .regex(exportNamePattern, exportNameRule)
      .optional()
      .describe('Name of the child in the log. Default: the name of the program.'),
    command: z
      .array(z.string({ error: 'a text' }), { error: commandRule })
      .min(1, commandRule)
      .describe('The program, found as a shell would, and its arguments.'),
    mount: filePath('the path at which it mounts')
      .optional()
      .describe(
        'Path at which the child makes a mount: the next child starts when this mount is present, or after a minute.',
      ),
    restart: z
      .enum(restartPolicies, { error: restartPolicies.map((policy) => `"${policy}"`).join(', ') })
      .default('always')
      .describe('When to restart the child after it has ended.'),
    afterCrash: z
      .string({ error: 'a shell command' })
      .min(1, 'a shell command')
      .optional()
      .describe('A shell command to run after a crash of the child, before it is restarted.'),
  },
  { error: 'a child such as { name: torbox, command: [rclone, mount, "torbox:", /mnt/torbox] }' },
);

export const settingsSchema = z
  .strictObject(
    {
      exports: z
        .record(exportName, exportSettings, {
          error: 'a mapping of export names such as { dfs: { path: /mnt/dfs } }, or PATH on the command line',
        })
        .describe('What is served, by the name that clients mount: NFS path and SMB share.'),
      smb: z
        .strictObject(
          {
            listen: endpoint('0.0.0.0:445')
              .optional()
              .describe('Default 0.0.0.0:445; 0.0.0.0:1445 when not started as root.'),
            signing: z
              .enum(['auto', 'required'], { error: '"auto" or "required"' })
              .default('auto')
              .describe('auto: messages are signed when the client asks for it. Guests cannot sign.'),
            encryption: z
              .enum(['auto', 'required', 'off'], { error: '"auto", "required" or "off"' })
              .default('auto')
              .describe('auto: messages are encrypted when the client asks for it. Guests cannot encrypt.'),
            multichannel: yesOrNo
              .default(true)
              .describe('Clients of SMB 3 that log on as users may use several connections at once.'),
            interfaces: z
              .array(z.union([z.ipv4(), z.ipv6()], { error: 'an IPv4 or IPv6 address' }), {
                error: 'a list of addresses',
              })
              .min(1, 'at least one address')
              .optional()
              .describe(
                "Addresses to which clients may open those connections. Default: the address of `listen`, or all of the machine's.",
              ),
          },
          { error: 'a mapping with listen, signing, encryption, multichannel, interfaces' },
        )
        .prefault({})
        .describe('The SMB server.'),
      nfs: z
        .strictObject(
          {
            listen: endpoint('0.0.0.0:2049')
              .optional()
              .describe(
                'Default 0.0.0.0:2049; 0.0.0.0:12049 when not started as root. Answers MOUNT as well.',
              ),
            mountListen: endpoint('0.0.0.0:20048').optional().describe('An additional endpoint for MOUNT.'),
            portmap: z
              .union([z.boolean(), z.enum(['auto', 'register'])], {
                error: '"auto", true, false or "register"',
              })
              .default('auto')
              .describe(
                'Portmap on port 111, for NFS clients that cannot be given a port (Kodi, VLC, GNOME). auto: if the port is free. true: always. register: register with the rpcbind that runs on this host.',
              ),
          },
          { error: 'a mapping with listen, mountListen, portmap' },
        )
        .prefault({})
        .describe('The NFS server.'),
      admin: z
        .strictObject(
          {
            listen: endpoint('127.0.0.1:9445').optional().describe('Default 127.0.0.1:9445.'),
            details: clients
              .default([])
              .describe(
                'Addresses and CIDR ranges that may see paths and client addresses. Without a token, loopback may as well. Others see numbers only.',
              ),
            hosts: z
              .array(hostName, { error: 'a list of host names such as ["gateway.example"]' })
              .default([])
              .describe('Host names accepted in requests, besides addresses and localhost.'),
            tokenFile: filePath('the path of a file that holds the token')
              .optional()
              .describe(
                'File with a secret of 16 characters or more. Requests with it may see paths and run actions. Without a token, loopback may.',
              ),
            tokenEnv: variableName.optional().describe('Environment variable that holds that secret.'),
          },
          { error: 'a mapping with listen, details, hosts, tokenFile, tokenEnv' },
        )
        .refine(({ tokenFile, tokenEnv }) => tokenFile === undefined || tokenEnv === undefined, {
          error: 'tokenFile or tokenEnv, not both',
        })
        .prefault({})
        .describe('Metrics, health and status over HTTP.'),
      discovery: yesOrNo
        .default(false)
        .describe(
          'true: announce the exports on the local network by mDNS, so that Infuse, Kodi, Finder and others show them.',
        ),
      run: z
        .array(child, { error: 'a list of children such as [{ command: [zurg] }]' })
        .default([])
        .describe(
          '`holdfast run` without CMD starts these in order, and stops them in the opposite order. It ends when all of them have ended for good.',
        ),
      cache: z
        .strictObject(
          {
            memory: size
              .optional()
              .describe(
                'Memory limit of the content cache, for all exports and both protocols; 0: no cache. Default: a quarter of the memory limit of the container, or else an eighth of the memory of the machine, from 32MiB to 512MiB.',
              ),
          },
          { error: 'a mapping with memory' },
        )
        .prefault({})
        .describe('The content cache.'),
      state: filePath('the path of a folder')
        .optional()
        .describe(
          'Folder for data that is kept across restarts: cached metadata, unfinished SMB listings and the secret made here.',
        ),
      identity: z
        .string({ error: 'a text of 1 to 255 characters' })
        .min(1, 'a text of 1 to 255 characters')
        .max(255, 'a text of 1 to 255 characters')
        .optional()
        .describe(
          'Key of all ids and handles: gateways with the same value can replace each other. Default holdfast.',
        ),
      secretFile: filePath('the path of a file that holds a secret')
        .optional()
        .describe(
          'File with a secret of 16 characters or more that becomes part of that key, so that nobody else can make handles. Without one, and without identity, a secret is made and kept in `state`.',
        ),
      secretEnv: variableName.optional().describe('Environment variable that holds that secret.'),
      log: z
        .strictObject(
          {
            level: z
              .enum(logLevels, { error: logLevels.map((level) => `"${level}"`).join(', ') })
              .default('info')
              .describe('The least severe messages that are written.'),
          },
          { error: 'a mapping with level' },
        )
        .prefault({})
        .describe('Logs, to standard output.'),
    },
    { error: 'a mapping with exports' },
  )
  .refine(({ secretFile, secretEnv }) => secretFile === undefined || secretEnv === undefined, {
    error: 'secretFile or secretEnv, not both',
  })
  .describe('Configuration of a Holdfast gateway.');

export type Settings = z.output<typeof settingsSchema>;

/** The JSON Schema of a configuration file. */
export function jsonSchema(): object {
  const schema = z.toJSONSchema(settingsSchema, { io: 'input', target: 'draft-2020-12' });
  return { ...schema, title: 'Holdfast configuration' };
}

/** The SMB side of the gateway: the listener, the shares, logging and metrics. */
import {
  SmbServer as ProtocolServer,
  Status,
  statusName,
  type Caller,
  type Hooks,
  type LinkRoot,
  type NetworkInterface,
  type NtStatus,
  type ScanStore,
  type ShareOptions,
  type UserOptions,
} from '@tsmb2/server';
import { actor, type Actor } from '../access.ts';
import { Admission, GuardedServer } from '../admission.ts';
import type { Metrics, SmbSessionStatus, Streams } from '../admin/index.ts';
import type { ClientRule, Config, Endpoint, LinkedExport, SmbUser } from '../config/index.ts';
import type { CutOff } from '../cut-off.ts';
import type { Logger } from '../log/index.ts';
import { LineThrottle, ordinaryLines } from '../log/index.ts';
import type { Listeners } from '../takeover/listeners.ts';
import type { Tree } from '../tree/tree.ts';
import { linkedName, TreeShare, type LinkedTree } from './share.ts';

export interface SmbExport {
  readonly name: string;
  /** Path of the tree on this machine: absolute links that point below it lead there. */
  readonly path: string;
  readonly tree: Tree;
  /** The streams of its readers, for the status page. */
  readonly streams: Streams;
  readonly guest: boolean;
  readonly users: readonly SmbUser[];
  /** User and group of guests. */
  readonly uid: number;
  readonly gid: number;
  readonly clients: ClientRule;
  readonly encrypt: boolean;
  readonly persistentHandles: boolean;
  readonly followSymlinks: boolean;
  readonly links: readonly LinkedExport[];
}

/**
 * READs of one connection may hold 64 MiB, which is 1024 credits. More credits would only delay the moment when they
 * run out.
 */
const maxCredits = 1024;

export interface SmbServerOptions {
  readonly config: Config['smb'];
  readonly listeners: Listeners;
  readonly exports: readonly SmbExport[];
  readonly serverGuid: Buffer;
  /** Key of 32 bytes that authenticates durable handles across restarts. */
  readonly durableKey: Buffer;
  readonly scanStore: ScanStore | undefined;
  /** Network interfaces that clients can reach, for multichannel. */
  readonly interfaces: () => readonly Omit<NetworkInterface, 'isParallel'>[];
  readonly metrics: Metrics;
  readonly cutOff: CutOff;
  readonly log: Logger;
}

export class SmbServer {
  readonly addresses: readonly Endpoint[];
  readonly #server: ProtocolServer;
  /** One backend for each tree, so that opens of a remaining share survive a reload. */
  readonly #backends: Map<Tree, TreeShare>;
  readonly #admission: Admission;
  /** Start of each session by its id (performance.now()). */
  readonly #begun: ReadonlyMap<number, number>;

  private constructor(
    server: ProtocolServer,
    backends: Map<Tree, TreeShare>,
    admission: Admission,
    begun: ReadonlyMap<number, number>,
    addresses: readonly Endpoint[],
  ) {
    this.#server = server;
    this.#backends = backends;
    this.#admission = admission;
    this.#begun = begun;
    this.addresses = addresses;
  }

  /** Starts to listen. Rejects when the port is not available. */
  static async start(options: SmbServerOptions): Promise<SmbServer> {
    const {
      config,
      listeners,
      exports,
      metrics,
      cutOff,
      log,
      serverGuid,
      durableKey,
      scanStore,
      interfaces,
    } = options;
    const backends = new Map<Tree, TreeShare>();
    const begun = new Map<number, number>();
    const server = new ProtocolServer({
      serverGuid,
      serverName: 'HOLDFAST',
      comment: 'Holdfast',
      shares: sharesOf(exports, backends),
      users: usersOf(exports),
      signing: config.signing,
      encryption: config.encryption,
      ...(config.multichannel && {
        interfaces: () => interfaces().map((one) => ({ ...one, isParallel: true })),
      }),
      durableKey,
      ...(scanStore && { scanStore }),
      limits: { maxCredits },
      hooks: hooksFor(metrics, begun, cutOff, log),
    });
    const admission = new Admission('smb', metrics.connections('smb'), log);
    admission.setRules(rulesOf(exports));
    const listener = new GuardedServer({}, admission);
    await listeners.listen(listener, 'smb', config.listen);
    const { port } = server.attach(listener);
    metrics.watchSmb(() => server.statistics);
    return new SmbServer(server, backends, admission, begun, [{ host: config.listen.host, port }]);
  }

  /** The sessions, oldest first, at most `most`. */
  sessions(most: number): SmbSessionStatus[] {
    const now = performance.now();
    return this.#server.sessions(most).map((session) => ({
      id: String(session.sessionId),
      client: session.address,
      user: session.userName,
      guest: session.guest,
      dialect: dialectName(session.dialect),
      signed: session.signed,
      encrypted: session.encrypted,
      exports: session.shares,
      opens: session.opens,
      connections: session.connections,
      seconds: Math.round((now - (this.#begun.get(session.sessionId) ?? now)) / 1000),
    }));
  }

  /** Ends a session. Its client may log on again. Returns false when there is no such session. */
  endSession(id: string): boolean {
    return /^\d{1,16}$/.test(id) && this.#server.endSession(Number(id));
  }

  setExports(exports: readonly SmbExport[]): void {
    this.#admission.setRules(rulesOf(exports));
    this.#server.reload({ shares: sharesOf(exports, this.#backends), users: usersOf(exports) });
    for (const tree of this.#backends.keys()) {
      if (!exports.some((entry) => entry.tree === tree)) this.#backends.delete(tree);
    }
  }

  /** Drains: answers outstanding requests, flushes and closes; cuts connections after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    await this.#server.close({ timeoutMs });
  }
}

function rulesOf(exports: readonly SmbExport[]): ((address: string) => boolean)[] {
  return exports.map(
    ({ clients }) =>
      (address) =>
        clients.allows(address),
  );
}

function sharesOf(exports: readonly SmbExport[], backends: Map<Tree, TreeShare>): ShareOptions[] {
  return exports.map((entry) => {
    const { name, tree, streams, guest, users, clients, encrypt, persistentHandles, followSymlinks } = entry;
    const backend = backends.get(tree) ?? new TreeShare(tree, streams);
    backends.set(tree, backend);
    backend.setActors(actorsOf(entry));
    backend.setLinked(linkedTo(entry, exports));
    return {
      name,
      comment: 'served by Holdfast',
      backend: backend,
      guest,
      encrypt,
      continuouslyAvailable: persistentHandles,
      followSymlinks,
      linkRoots: linkRootsOf(entry),
      ...(guest ? {} : { users: users.map((user) => user.name) }),
      allow: (address: string) => clients.allows(address),
    };
  });
}

const linkRootsOf = ({ path, links }: SmbExport): LinkRoot[] => [
  { path, at: [] },
  ...links.flatMap(({ name, paths }) => paths.map((one) => ({ path: one, at: [linkedName(name)] }))),
];

/** Links let nobody read what its own export would refuse. */
function linkedTo({ links }: SmbExport, exports: readonly SmbExport[]): LinkedTree[] {
  return links.flatMap((link) => {
    const entry = exports.find(({ name }) => name === link.name);
    if (!entry) return [];
    const { name, tree, clients, guest, users } = entry;
    const named = new Set(users.map((user) => user.name.toLowerCase()));
    const admits = (caller: Caller) =>
      clients.allows(caller.address) &&
      (guest || (!caller.guest && named.has(caller.userName.toLowerCase())));
    return [{ name, tree, admits }];
  });
}

/** SMB users have no user ids: the configuration maps each to a user and a group. */
function actorsOf({ users, uid, gid }: SmbExport): (caller: Caller) => Actor {
  const guests = actor(uid, gid);
  const named = new Map(users.map((user) => [user.name.toLowerCase(), actor(user.uid, user.gid)]));
  return ({ guest, userName }) => (guest ? guests : (named.get(userName.toLowerCase()) ?? guests));
}

/** A name listed by several exports is one user. The configuration has checked that its secrets are the same. */
function usersOf(exports: readonly SmbExport[]): UserOptions[] {
  const users = new Map<string, UserOptions>();
  for (const { name, secret } of exports.flatMap((entry) => entry.users)) {
    const value = secret.reveal();
    const proof = secret.kind === 'ntHash' ? { ntHash: Buffer.from(value, 'hex') } : { password: value };
    users.set(name.toLowerCase(), { name, ...proof });
  }
  return [...users.values()];
}

/** 0x0311 is SMB 3.1.1 ([MS-SMB2] 2.2.3). */
const dialectName = (dialect: number): string =>
  dialect
    .toString(16)
    .padStart(3, '0')
    .replace(/(.)(.)(.)/, '$1.$2.$3');

/** Statuses that are a normal answer, such as "no such name". They do not count as failures of the gateway. */
const ordinary: ReadonlySet<NtStatus> = new Set<NtStatus>([
  Status.SUCCESS,
  Status.PENDING,
  Status.MORE_PROCESSING_REQUIRED,
  Status.NO_MORE_FILES,
  Status.NO_SUCH_FILE,
  Status.END_OF_FILE,
  Status.FILE_IS_A_DIRECTORY,
  Status.NOT_A_DIRECTORY,
  Status.INFO_LENGTH_MISMATCH,
  Status.BUFFER_TOO_SMALL,
  Status.BUFFER_OVERFLOW,
  Status.OBJECT_NAME_NOT_FOUND,
  Status.OBJECT_PATH_NOT_FOUND,
  Status.STOPPED_ON_SYMLINK,
  Status.NOTIFY_ENUM_DIR,
  Status.NOTIFY_CLEANUP,
  Status.CANCELLED,
  Status.MEDIA_WRITE_PROTECTED,
  Status.ACCESS_DENIED,
  Status.NOT_SUPPORTED,
  Status.NOT_FOUND,
  Status.NOT_A_REPARSE_POINT,
  Status.FS_DRIVER_REQUIRED,
]);

function hooksFor(metrics: Metrics, begun: Map<number, number>, cutOff: CutOff, log: Logger): Hooks {
  const meters = new Map<string, ReturnType<Metrics['request']>>();
  const connections = metrics.connections('smb');
  const malformed = new LineThrottle();
  const refused = new LineThrottle();
  const refusedLogons = new LineThrottle();
  const refusedTrees = new LineThrottle();
  const mounts = new LineThrottle(ordinaryLines);
  const meterOf = (command: string) => {
    let meter = meters.get(command);
    if (!meter) meters.set(command, (meter = metrics.request('smb', command)));
    return meter;
  };
  return {
    connected: ({ address, port }) => {
      connections.opened();
      log.debug({ client: address, port, protocol: 'smb' }, 'connected');
    },
    disconnected: ({ address, port, reason }) => {
      connections.closed();
      log.debug({ client: address, port, protocol: 'smb', reason }, 'disconnected');
    },
    unanswered: ({ address, requests }) => cutOff.note(address, requests),
    connectionRefused: ({ address, port, reason }) => {
      connections.refused += 1;
      const more = refused.admit();
      if (!more) return;
      log.warn({ client: address, port, protocol: 'smb', reason, ...more }, 'connection refused');
    },
    sessionOpened: ({ sessionId }) => void begun.set(sessionId, performance.now()),
    sessionClosed: ({ sessionId }) => void begun.delete(sessionId),
    logonRefused: ({ address, userName, status }) => {
      metrics.authFailure('smb');
      const more = refusedLogons.admit();
      if (!more) return;
      log.warn(
        { client: address, user: userName || undefined, status: statusName(status), ...more },
        'refused: logon failed',
      );
    },
    treeConnected: ({ address, sessionId, userName, guest, share, dialect, signed, encrypted }) => {
      if (share === 'IPC$') return;
      const more = mounts.admit();
      if (!more) return;
      const line = {
        client: address,
        session: sessionId.toString(16),
        user: userName || undefined,
        guest,
        export: share,
        protocol: 'smb',
        dialect: dialect.toString(16),
        signed,
        encrypted,
        ...more,
      };
      log.info(line, 'mounted');
    },
    treeDisconnected: ({ address, sessionId, share }) => {
      const more = share === 'IPC$' ? undefined : mounts.admit();
      if (more)
        log.info(
          { client: address, session: sessionId.toString(16), export: share, protocol: 'smb', ...more },
          'unmounted',
        );
    },
    treeRefused: ({ address, sessionId, userName, share, status }) => {
      metrics.authFailure('smb');
      const more = refusedTrees.admit();
      if (!more) return;
      log.warn(
        {
          client: address,
          session: sessionId.toString(16),
          user: userName || undefined,
          export: share,
          status: statusName(status),
          ...more,
        },
        'refused',
      );
    },
    requestFinished: ({ command, status, seconds, bytesIn, bytesOut }) =>
      meterOf(command).observe(seconds, bytesIn, bytesOut, ordinary.has(status)),
    malformed: ({ address, port, reason }) => {
      const more = malformed.admit();
      if (more) log.warn({ client: address, port, protocol: 'smb', reason, ...more }, 'malformed message');
    },
    bug: (error, where) => log.error({ err: error, where, protocol: 'smb' }, 'bug: unexpected error'),
  };
}

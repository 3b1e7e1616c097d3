/**
 * Directory scans whose client is away. Clients do not open directories anew after a reconnect: Linux goes on with the old
 * FileId, and a program that was in the middle of a listing gets ENOENT when that is not known any more. So where a scan
 * stands is kept when its connection ends, and given to the process that serves next.
 */
import type { FileId } from '../wire/file-id.ts';
import type { Connection } from '../connection/connection.ts';
import type { ScanPlace } from '../open/enumeration.ts';
import type { Open } from '../open/open.ts';
import type { Session } from '../session/session.ts';

/** A scan in words that mean the same to every process that serves the share: plain data, fit for JSON. */
export interface SuspendedScan {
  /** Who may go on with it: the client's GUID in hexadecimal, the user in lower case. */
  readonly clientGuid: string;
  readonly userName: string;
  readonly share: string;
  /** Names from the root. */
  readonly path: readonly string[];
  /** NodeAttributes.id, in decimal: the directory at that path has to be the same one. */
  readonly nodeId: string;
  readonly grantedAccess: number;
  readonly shareAccess: number;
  readonly options: number;
  readonly posix: boolean;
  /** Of the links the directory was reached by, in decimal. */
  readonly alias?: string;
  readonly pattern: string;
  readonly place: ScanPlace;
}

/** Keeps scans for the process that serves next. Keys are 32 hexadecimal digits that are never used twice. */
export interface ScanStore {
  save(key: string, scan: SuspendedScan): Promise<void>;
  /** Gives the scan away: a second call for the key finds nothing. Undefined when there is none. */
  take(key: string): Promise<SuspendedScan | undefined>;
}

export interface SuspendedScanLimits {
  /** Scans kept at once; beyond it the one that was suspended first is forgotten. */
  readonly most: number;
  /** How long one is kept, in milliseconds. */
  readonly keepMs: number;
}

export class SuspendedScans {
  readonly #store: ScanStore | undefined;
  readonly #limits: SuspendedScanLimits;
  /** In order of their suspension. */
  readonly #kept = new Map<string, { readonly scan: SuspendedScan; readonly since: number }>();

  constructor(store: ScanStore | undefined, limits: SuspendedScanLimits) {
    this.#store = store;
    this.#limits = limits;
  }

  /** Keeps where the unfinished scans of a connection stand. */
  suspend(connection: Connection): void {
    for (const session of connection.sessions.values()) {
      // Another channel of the session goes on with them.
      if (session.channels.length > 1) continue;
      for (const open of session.opens.values()) {
        const scan = open.kind === 'file' ? suspended(open, session) : undefined;
        if (scan) this.keep(scanKey(open.fileId), scan);
      }
    }
  }

  keep(key: string, scan: SuspendedScan): void {
    const { most, keepMs } = this.#limits;
    const now = performance.now();
    this.#kept.set(key, { scan, since: now });
    for (const [oldest, { since }] of this.#kept) {
      if (this.#kept.size <= most && now - since < keepMs) break;
      this.#kept.delete(oldest);
    }
  }

  async take(key: string): Promise<SuspendedScan | undefined> {
    const kept = this.#kept.get(key);
    if (!kept) return await this.#store?.take(key);
    this.#kept.delete(key);
    return performance.now() - kept.since < this.#limits.keepMs ? kept.scan : undefined;
  }

  /** Hands what is kept to the store. Without one it stays here. */
  async flush(): Promise<void> {
    const store = this.#store;
    if (!store || this.#kept.size === 0) return;
    const kept = [...this.#kept];
    this.#kept.clear();
    await Promise.all(kept.map(([key, { scan }]) => store.save(key, scan)));
  }
}

export const scanKey = ({ persistent, volatile }: FileId): string =>
  persistent.toString(16).padStart(16, '0') + volatile.toString(16).padStart(16, '0');

function suspended(open: Open, { clientGuid, identity }: Session): SuspendedScan | undefined {
  const { share, node, enumeration, grantedAccess, shareAccess, options, posix, alias } = open;
  const place = enumeration?.place;
  if (!place) return undefined;
  const nodeId = share.backend.cachedAttributes(node)?.id;
  if (nodeId === undefined) return undefined;
  return {
    clientGuid: clientGuid.toString('hex'),
    userName: identity.userName.toLowerCase(),
    share: share.name,
    path: share.namesOf(node),
    nodeId: String(nodeId),
    grantedAccess,
    shareAccess,
    options,
    posix,
    ...(alias !== 0n && { alias: String(alias) }),
    pattern: enumeration.pattern,
    place,
  };
}

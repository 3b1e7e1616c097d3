/**
 * Directory scans of disconnected clients. After a reconnect, clients do not open directories again: Linux continues
 * with the old FileId, and a program in the middle of a listing gets ENOENT when that FileId is unknown. So the
 * position of a scan is kept when its connection ends, and passed to the next process.
 */
import type { FileId } from '../wire/file-id.ts';
import type { Connection } from '../connection/connection.ts';
import type { ScanPlace } from '../open/enumeration.ts';
import type { Open } from '../open/open.ts';
import type { Session } from '../session/session.ts';

/** A scan in a form that every process that serves the share understands: plain data, fit for JSON. */
export interface SuspendedScan {
  /** Who may continue it: the client's GUID in hexadecimal and the user in lower case. */
  readonly clientGuid: string;
  readonly userName: string;
  readonly share: string;
  /** Names from the root. */
  readonly path: readonly string[];
  /** NodeAttributes.id in decimal. The directory at the path must still have this id. */
  readonly nodeId: string;
  readonly grantedAccess: number;
  readonly shareAccess: number;
  readonly options: number;
  readonly posix: boolean;
  /** Alias id of the links that led to the directory, in decimal. */
  readonly alias?: string;
  readonly pattern: string;
  readonly place: ScanPlace;
}

/** Keeps scans for the next process. Keys are 32 hexadecimal digits and are never used twice. */
export interface ScanStore {
  save(key: string, scan: SuspendedScan): Promise<void>;
  /** Removes and returns the scan; undefined when there is none. A second call for the key finds nothing. */
  take(key: string): Promise<SuspendedScan | undefined>;
}

export interface SuspendedScanLimits {
  /** Most scans to keep. Beyond it the oldest is forgotten. */
  readonly most: number;
  /** How long to keep a scan, in ms. */
  readonly keepMs: number;
}

export class SuspendedScans {
  readonly #store: ScanStore | undefined;
  readonly #limits: SuspendedScanLimits;
  /** In order of suspension. */
  readonly #kept = new Map<string, { readonly scan: SuspendedScan; readonly since: number }>();

  constructor(store: ScanStore | undefined, limits: SuspendedScanLimits) {
    this.#store = store;
    this.#limits = limits;
  }

  /** Keeps the positions of the unfinished scans of a connection. */
  suspend(connection: Connection): void {
    for (const session of connection.sessions.values()) {
      // The client continues them on another channel of the session.
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

  /** Moves the scans to the store. Without a store they stay here. */
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

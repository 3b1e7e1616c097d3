/** The configuration as the rest of the program sees it: complete, checked, frozen. */
import type { LogLevel } from '../log/index.ts';
import type { ClientRule } from './cidr.ts';
import type { Endpoint } from './endpoint.ts';
import type { UserSecret } from './secret.ts';

export interface SmbUser {
  readonly name: string;
  readonly secret: UserSecret;
  /** Whom the user acts as. */
  readonly uid: number;
  readonly gid: number;
}

export interface ExportSmb {
  /** Everybody whom `clients` allows may read without a password. Never together with users. */
  readonly guest: boolean;
  readonly users: readonly SmbUser[];
  /** Whom guests act as. */
  readonly uid: number;
  readonly gid: number;
  readonly clients: ClientRule;
  /** Only encrypted requests are answered. */
  readonly encrypt: boolean;
  /** Links that stay inside the share are followed by the gateway. */
  readonly persistentHandles: boolean;
  readonly followSymlinks: boolean;
}

export interface ExportNfs {
  readonly clients: ClientRule;
  readonly squash: 'none' | 'root' | 'all';
  /** Ids that squashed callers act as. */
  readonly uid: number;
  readonly gid: number;
}

export interface ExportConfig {
  /** Share name, and NFS path after a `/`. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly expectFuse: boolean;
  readonly readOnly: true;
  readonly smb: ExportSmb;
  readonly nfs: ExportNfs;
  readonly times: 'auto' | 'source';
  /** Milliseconds after which a source that is away makes requests fail; Infinity: they wait. */
  readonly failAfter: number;
  /** Milliseconds after which a read that has not come back is an error of its file. */
  readonly readDeadline: number;
  /** Milliseconds for which an error of what was well a moment ago is held back. */
  readonly verdict: number;
  /** Milliseconds without reads after which a file is closed; undefined: as SourceLimits has it. */
  readonly idleClose: number | undefined;
}

export interface Config {
  /** The file that was read, absolute; undefined when there was none. */
  readonly file: string | undefined;
  /** At least one, in the order of the file. */
  readonly exports: readonly ExportConfig[];
  readonly smb: {
    readonly listen: Endpoint;
    readonly signing: 'auto' | 'required';
    readonly encryption: 'auto' | 'required' | 'off';
    readonly multichannel: boolean;
    /** What clients are told of for it; undefined: found out. */
    readonly interfaces: readonly string[] | undefined;
  };
  readonly nfs: {
    /** Answers MOUNT as well. */
    readonly listen: Endpoint;
    readonly mountListen: Endpoint | undefined;
    readonly portmap: boolean | 'register';
  };
  readonly admin: {
    readonly listen: Endpoint;
    /** Who is shown paths and addresses: loopback, and whom the file names. */
    readonly details: ClientRule;
    /** Names under which the port may be asked for, besides addresses and localhost. Lower case. */
    readonly hosts: readonly string[];
  };
  /** Absolute folder for what is worth keeping across restarts. */
  readonly state: string | undefined;
  /** Key of all path-derived ids, together with `secret`. */
  readonly identity: string;
  /** Whether `identity` was chosen: the default is known to everybody. */
  readonly ownIdentity: boolean;
  readonly secret: UserSecret | undefined;
  /** Environment variables that hold passwords or the secret: nobody else's business. */
  readonly secretVariables: readonly string[];
  readonly log: { readonly level: LogLevel };
}

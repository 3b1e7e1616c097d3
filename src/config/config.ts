/** The configuration as the rest of the program sees it: complete, checked, frozen. */
import type { LogLevel } from '../log/index.ts';
import type { RestartPolicy } from '../supervise/policies.ts';
import type { ReadAheadSettings } from '../cache/limits.ts';
import type { ClientRule } from './cidr.ts';
import type { Endpoint } from './endpoint.ts';
import type { UserSecret } from './secret.ts';

export interface SmbUser {
  readonly name: string;
  readonly secret: UserSecret;
  /** The ids that the user acts as. */
  readonly uid: number;
  readonly gid: number;
}

export interface ExportSmb {
  /** Clients that `clients` allows may read without a password. Never true if there are users. */
  readonly guest: boolean;
  readonly users: readonly SmbUser[];
  /** The ids that guests act as. */
  readonly uid: number;
  readonly gid: number;
  readonly clients: ClientRule;
  /** Answer encrypted requests only. */
  readonly encrypt: boolean;
  readonly persistentHandles: boolean;
  /** The gateway follows symbolic links that stay inside the share. */
  readonly followSymlinks: boolean;
  /** Where links lead besides the export itself. */
  readonly links: readonly LinkedExport[];
}

/** Another export into which links are followed. */
export interface LinkedExport {
  readonly name: string;
  /** Absolute paths by which links know it; its own is the first. */
  readonly paths: readonly string[];
}

export interface ExportNfs {
  readonly clients: ClientRule;
  readonly squash: 'none' | 'root' | 'all';
  /** The ids that squashed callers act as. */
  readonly uid: number;
  readonly gid: number;
}

export interface ExportConfig {
  /** The SMB share name; the NFS path is `/` and this name. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly expectFuse: boolean;
  /** Places below the path where mounts are expected from the start; auto: where they were seen. */
  readonly mounts: 'auto' | readonly string[];
  readonly readOnly: true;
  readonly smb: ExportSmb;
  readonly nfs: ExportNfs;
  readonly times: 'auto' | 'source';
  /** Milliseconds that requests wait for an absent source before they fail; Infinity: they wait until it returns. */
  readonly failAfter: number;
  /** Milliseconds after which an unanswered read counts as an error of its file. */
  readonly readDeadline: number;
  /** Milliseconds for which an error of a recently healthy file is held back, as the daemon may be stopping. */
  readonly verdict: number;
  /** Milliseconds without reads after which a file is closed; undefined: the values of SourceLimits. */
  readonly idleClose: number | undefined;
  /** Undefined: as suits the source. */
  readonly readAhead: ReadAheadSettings | undefined;
}

/** A program that `run` starts. */
export interface ChildConfig {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** Absolute; where it mounts something. */
  readonly mount: string | undefined;
  readonly restart: RestartPolicy;
  /** A shell command. */
  readonly afterCrash: string | undefined;
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
    /** Addresses offered to clients for multichannel; undefined: those of this machine's network cards. */
    readonly interfaces: readonly string[] | undefined;
  };
  readonly nfs: {
    /** Serves both NFS and MOUNT. */
    readonly listen: Endpoint;
    /** An additional endpoint for MOUNT. */
    readonly mountListen: Endpoint | undefined;
    readonly portmap: boolean | 'auto' | 'register';
  };
  readonly admin: {
    readonly listen: Endpoint;
    /** Clients that may see paths and addresses without the token: those in the configuration; without a token, also loopback. */
    readonly details: ClientRule;
    /** Host names accepted in requests, besides addresses and localhost. Lower case. */
    readonly hosts: readonly string[];
    /** Requests with the token may see paths and run actions. Without a token, requests from loopback may. */
    readonly token: UserSecret | undefined;
  };
  /** Whether the exports are announced on the local network by mDNS. */
  readonly discovery: boolean;
  /** In the order in which they are started. */
  readonly run: readonly ChildConfig[];
  /** Content that is kept in memory, of all exports. */
  readonly cache: {
    /** Bytes; 0: nothing is kept. */
    readonly memory: number;
  };
  /** Absolute path of the folder for data that is kept across restarts. */
  readonly state: string | undefined;
  /** Together with `secret`, the key of all ids that are derived from paths. */
  readonly identity: string;
  /** Whether `identity` differs from the default, which everybody knows. */
  readonly ownIdentity: boolean;
  readonly secret: UserSecret | undefined;
  /** Names of the environment variables that hold passwords or the secret. Child processes must not get them. */
  readonly secretVariables: readonly string[];
  readonly log: { readonly level: LogLevel };
}

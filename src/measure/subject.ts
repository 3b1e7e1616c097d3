/** What is measured: a tree by its own calls, a local folder or an export by NFS. */

export interface Entry {
  readonly name: string;
  readonly isFolder: boolean;
  /** Bytes; 0 where the listing does not say. */
  readonly size: number;
}

export interface Subject {
  /** Of a folder: '' is the root. */
  list(path: string): Promise<readonly Entry[]>;
  /** Size in bytes. */
  look(path: string): Promise<number>;
  /** Bytes read. */
  read(path: string, offset: number, length: number): Promise<number>;
  /** Lets go of what is open. */
  done(path: string): Promise<void>;
  close(): Promise<void>;
}

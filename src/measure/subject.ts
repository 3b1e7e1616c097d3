/** A tree to measure: a local folder, or an export by NFS. */

export interface Entry {
  readonly name: string;
  readonly isFolder: boolean;
  /** Bytes; 0 if the listing does not give the size. */
  readonly size: number;
}

export interface Subject {
  /** Lists a folder; '' is the root. */
  list(path: string): Promise<readonly Entry[]>;
  /** Looks up an entry. Resolves with its size in bytes; 0 if it is not a file. */
  look(path: string): Promise<number>;
  /** Resolves with the number of bytes read. */
  read(path: string, offset: number, length: number): Promise<number>;
  /** Closes a file after the last read. */
  done(path: string): Promise<void>;
  close(): Promise<void>;
}

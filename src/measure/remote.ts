/** An export of a gateway, read by NFSv3 without a mount. Measures the network, the gateway and its source together. */
import { Nfs3Client, NfsFailure } from '@holdfast/nfs-rpc';
import type { Entry, Subject } from './subject.ts';

const callTimeout = 30_000;
/** ftype3: RFC 1813 §2.5. */
const directory = 2;
const regular = 1;

/** mountstat3: RFC 1813 §5.1.5. */
const refusals: Readonly<Record<number, string>> = {
  2: 'there is no export of that name',
  13: 'this address may not use it',
};

const refusal = (name: string, status: number) =>
  `/${name} cannot be mounted: ${refusals[status] ?? `status ${status}`}`;

export interface RemoteOptions {
  readonly host: string;
  readonly port: number;
  /** Name of the export. */
  readonly name: string;
  readonly uid: number;
}

export class RemoteExport implements Subject {
  readonly #client: Nfs3Client;
  readonly #handles: Map<string, Buffer>;

  private constructor(client: Nfs3Client, root: Buffer) {
    this.#client = client;
    this.#handles = new Map([['', root]]);
  }

  /** Connects and mounts the export. Rejects if that fails. */
  static async mount({ name, ...place }: RemoteOptions): Promise<RemoteExport> {
    const client = await Nfs3Client.open({ ...place, timeoutMs: callTimeout });
    try {
      return new RemoteExport(client, await client.mount(`/${name}`));
    } catch (error) {
      client.close();
      if (error instanceof NfsFailure) throw new Error(refusal(name, error.status), { cause: error });
      throw error;
    }
  }

  /** Calls the NULL procedure, which measures the network alone. */
  async ping(): Promise<number> {
    await this.#client.null();
    return 0;
  }

  async list(path: string): Promise<Entry[]> {
    const { entries } = await this.#client.readdirplus(await this.#handle(path), 0, 65_536);
    return entries
      .filter(({ name }) => name !== '.' && name !== '..')
      .map(({ name, attributes }) => ({
        name,
        isFolder: attributes?.type === directory,
        size: attributes?.type === regular ? attributes.size : 0,
      }));
  }

  async look(path: string): Promise<number> {
    const { attributes } = await this.#client.getattr(await this.#handle(path));
    return attributes.type === regular ? attributes.size : 0;
  }

  async read(path: string, offset: number, length: number): Promise<number> {
    return (await this.#client.read(await this.#handle(path), offset, length)).data.length;
  }

  done(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  async #handle(path: string): Promise<Buffer> {
    const known = this.#handles.get(path);
    if (known) return known;
    const end = path.lastIndexOf('/');
    const above = await this.#handle(path.slice(0, end));
    const { object } = await this.#client.lookup(above, path.slice(end + 1));
    this.#handles.set(path, object);
    return object;
  }
}

/** A small NFSv3 client that uses the server's codecs. It measures a server, and shows replies that real clients hide. */
import { accessShape } from './access.ts';
import { getattrShape } from './getattr.ts';
import { lookupShape } from './lookup.ts';
import { readShape } from './read.ts';
import { readdirplusShape } from './readdirplus.ts';
import { mountResult, directoryPath } from '../mount/wire.ts';
import { MOUNT_PROGRAM } from '../mount/program.ts';
import { NFS_PROGRAM } from './program.ts';
import { RpcClient } from '../rpc/client.ts';
import { nothing, unionWithDefault, type Codec } from '../xdr/codec.ts';

interface Shape<A, R, F> {
  readonly name: string;
  readonly args: Codec<A>;
  readonly ok: Codec<R>;
  readonly failed: Codec<F>;
}

/** A procedure returned a status other than NFS3_OK. */
export class NfsFailure extends Error {
  override readonly name = 'NfsFailure';
  readonly status: number;
  constructor(procedure: string, status: number) {
    super(`${procedure}: status ${status}`);
    this.status = status;
  }
}

export interface Nfs3ClientOptions {
  readonly host: string;
  /** The NFS port, which must also serve MOUNT. */
  readonly port: number;
  /** For connecting and for each call, in ms. */
  readonly timeoutMs: number;
  /** User and group id for AUTH_SYS. */
  readonly uid: number;
}

export class Nfs3Client {
  readonly #nfs: RpcClient;
  readonly #mount: RpcClient;

  private constructor(nfs: RpcClient, mount: RpcClient) {
    this.#nfs = nfs;
    this.#mount = mount;
  }

  static async open({ uid, ...place }: Nfs3ClientOptions): Promise<Nfs3Client> {
    const common = { ...place, version: 3, credential: { uid, gid: uid } };
    const nfs = await RpcClient.open({ ...common, program: NFS_PROGRAM });
    try {
      return new Nfs3Client(nfs, await RpcClient.open({ ...common, program: MOUNT_PROGRAM }));
    } catch (error) {
      nfs.close();
      throw error;
    }
  }

  close(): void {
    this.#nfs.close();
    this.#mount.close();
  }

  /** Resets the connections, as when a client is switched off. */
  destroy(): void {
    this.#nfs.destroy();
    this.#mount.destroy();
  }

  async null(): Promise<void> {
    await this.#nfs.call(0, nothing, {}, nothing);
  }

  async mount(path: string): Promise<Buffer> {
    const result = await this.#mount.call(1, directoryPath, path, mountResult);
    if (result.status !== 0) throw new NfsFailure('MNT', result.status);
    return (result as { handle: Buffer }).handle;
  }

  async call<A extends object, R extends object, F extends object>(
    number: number,
    shape: Shape<A, R, F>,
    args: A,
  ): Promise<R> {
    const codec = unionWithDefault('status', { 0: shape.ok }, shape.failed) as unknown as Codec<
      R & { status: number }
    >;
    const result = await this.#nfs.call(number, shape.args, args, codec);
    if (result.status !== 0) throw new NfsFailure(shape.name, result.status);
    return result;
  }

  getattr(object: Buffer) {
    return this.call(1, getattrShape, { object });
  }

  lookup(directory: Buffer, name: string) {
    return this.call(3, lookupShape, { what: { directory, name } });
  }

  access(object: Buffer, access: number) {
    return this.call(4, accessShape, { object, access });
  }

  read(file: Buffer, offset: number, count: number) {
    return this.call(6, readShape, { file, offset, count });
  }

  readdirplus(directory: Buffer, cookie = 0, budget = 1 << 16) {
    const counts = { directoryCount: budget, maximumCount: budget };
    return this.call(17, readdirplusShape, { directory, cookie, verifier: Buffer.alloc(8), ...counts });
  }

  /** Looks up a path from the root of an export and returns its file handle. */
  async walk(root: Buffer, path: string): Promise<Buffer> {
    let handle = root;
    for (const name of path.split('/').filter(Boolean)) handle = (await this.lookup(handle, name)).object;
    return handle;
  }
}

/** A small NFSv3 client over the protocol package's own codecs, for what real clients do not let a test see. */
import { accessShape } from '../../protocols/nfs-rpc/src/nfs3/access.ts';
import { getattrShape } from '../../protocols/nfs-rpc/src/nfs3/getattr.ts';
import { lookupShape } from '../../protocols/nfs-rpc/src/nfs3/lookup.ts';
import { readShape } from '../../protocols/nfs-rpc/src/nfs3/read.ts';
import { readdirplusShape } from '../../protocols/nfs-rpc/src/nfs3/readdirplus.ts';
import { mountResult, directoryPath } from '../../protocols/nfs-rpc/src/mount/wire.ts';
import { RpcClient } from '../../protocols/nfs-rpc/src/rpc/client.ts';
import { nothing, unionWithDefault, type Codec } from '../../protocols/nfs-rpc/src/xdr/codec.ts';

interface Shape<A, R, F> {
  readonly name: string;
  readonly args: Codec<A>;
  readonly ok: Codec<R>;
  readonly failed: Codec<F>;
}

/** A procedure that answered with something other than NFS3_OK. */
export class NfsFailure extends Error {
  override readonly name = 'NfsFailure';
  readonly status: number;
  constructor(procedure: string, status: number) {
    super(`${procedure}: status ${status}`);
    this.status = status;
  }
}

export class NfsClient {
  readonly #nfs: RpcClient;
  readonly #mount: RpcClient;

  private constructor(nfs: RpcClient, mount: RpcClient) {
    this.#nfs = nfs;
    this.#mount = mount;
  }

  static async connect(port: number, timeoutMs = 30_000, uid = 1000): Promise<NfsClient> {
    const common = { host: '127.0.0.1', port, version: 3, timeoutMs, credential: { uid, gid: uid } };
    const nfs = await RpcClient.open({ ...common, program: 100003 });
    return new NfsClient(nfs, await RpcClient.open({ ...common, program: 100005 }));
  }

  close(): void {
    this.#nfs.close();
    this.#mount.close();
  }

  /** As a client that is switched off. */
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

  /** The handle at the end of a path, from the root of an export. */
  async walk(root: Buffer, path: string): Promise<Buffer> {
    let handle = root;
    for (const name of path.split('/').filter(Boolean)) handle = (await this.lookup(handle, name)).object;
    return handle;
  }
}

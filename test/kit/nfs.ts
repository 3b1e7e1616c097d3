/** The NFS client of the protocol package. It shows tests every reply, which real clients hide. */
import { Nfs3Client } from '../../protocols/nfs-rpc/src/nfs3/client.ts';

export { NfsFailure } from '../../protocols/nfs-rpc/src/nfs3/client.ts';
export type NfsClient = Nfs3Client;

export const NfsClient = {
  connect: (port: number, timeoutMs = 30_000, uid = 1000): Promise<Nfs3Client> =>
    Nfs3Client.open({ host: '127.0.0.1', port, timeoutMs, uid }),
};

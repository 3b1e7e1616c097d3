/** The protocol package's own client, for what real clients do not let a test see. */
import { Nfs3Client } from '../../protocols/nfs-rpc/src/nfs3/client.ts';

export { NfsFailure } from '../../protocols/nfs-rpc/src/nfs3/client.ts';
export type NfsClient = Nfs3Client;

export const NfsClient = {
  connect: (port: number, timeoutMs = 30_000, uid = 1000): Promise<Nfs3Client> =>
    Nfs3Client.open({ host: '127.0.0.1', port, timeoutMs, uid }),
};

/** One gateway on one folder, with a client of each protocol. Shared by the tests of odd trees. */
import { Gateway } from '../kit/gateway.ts';
import { NfsConsumer, SmbConsumer, type Consumer } from './clients.ts';

export const LISTEN = ['--nfs', '127.0.0.1:0', '--smb', '127.0.0.1:0', '--admin', '127.0.0.1:0'];

export interface Served {
  readonly gateway: Gateway;
  readonly nfs: NfsConsumer;
  readonly smb: SmbConsumer;
  readonly consumers: readonly Consumer[];
}

/** Serves `path` as export `dfs`. Adds the clean-up steps to `cleanUp`, to be run in reverse order. */
export async function serve(path: string, cleanUp: (() => unknown)[], ...options: string[]): Promise<Served> {
  const args = ['serve', path, '--name', 'dfs', ...LISTEN, ...options];
  const gateway = await Gateway.start({ args, protocols: ['nfs', 'smb', 'admin'] });
  cleanUp.push(() => gateway.kill());
  const nfs = await NfsConsumer.connect(gateway.port('nfs'));
  cleanUp.push(() => nfs.close());
  const smb = new SmbConsumer(gateway.port('smb'));
  cleanUp.push(() => smb.close());
  return { gateway, nfs, smb, consumers: [nfs, smb] };
}

/** The state of the only export, from the health check. */
export async function sourceState({ gateway }: Served): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${String(gateway.port('admin'))}/readyz?verbose`);
  const { exports } = (await response.json()) as { exports: { state: string }[] };
  return exports[0]!.state;
}

export async function undo(cleanUp: (() => unknown)[]): Promise<void> {
  for (const step of cleanUp.splice(0).reverse()) await step();
}

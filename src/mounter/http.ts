/** Health and metrics of the mounter over HTTP. */
import { createServer, type Server } from 'node:http';
import { isKnownHost } from '../admin/host.ts';
import type { Endpoint } from '../config/index.ts';
import { metricsText, type MountFacts } from './text.ts';
import type { Mounter } from './mounter.ts';

/** Timeouts in milliseconds, size in bytes, number of connections. */
const limits = { headersTimeout: 5_000, requestTimeout: 10_000, headerBytes: 8192, connections: 16 } as const;

type Page = (mounter: Mounter, facts: MountFacts) => { status: number; type: string; body: string };

/** The pages by path. */
export const mounterPages: Readonly<Record<string, Page>> = {
  /** Does not depend on the mount: an absent server is no reason to restart this program. */
  '/livez': () => ({ status: 200, type: 'text/plain; charset=utf-8', body: 'ok\n' }),
  '/readyz': ({ state, seconds, address }) => ({
    status: state === 'answering' ? 200 : 503,
    type: 'application/json; charset=utf-8',
    body: `${JSON.stringify({ state, seconds: Math.round(seconds), address })}\n`,
  }),
  '/metrics': (mounter, facts) => ({
    status: 200,
    type: 'text/plain; version=0.0.4; charset=utf-8',
    body: metricsText(mounter, facts),
  }),
};

/** Starts the server. Resolves when it listens; rejects with the error of listen(2). */
export function serveMounter(mounter: Mounter, facts: MountFacts, endpoint: Endpoint): Promise<Server> {
  const server = createServer(
    {
      headersTimeout: limits.headersTimeout,
      requestTimeout: limits.requestTimeout,
      maxHeaderSize: limits.headerBytes,
    },
    (request, response) => {
      const path = (request.url ?? '/').split('?', 1)[0]!;
      const page = Object.hasOwn(mounterPages, path) ? mounterPages[path] : undefined;
      const allowed = isKnownHost(request.headers.host, []) && /^(?:GET|HEAD)$/.test(request.method ?? '');
      const { status, type, body } =
        page && allowed
          ? page(mounter, facts)
          : { status: allowed ? 404 : 403, type: 'text/plain; charset=utf-8', body: 'not here\n' };
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
      response.end(request.method === 'HEAD' ? undefined : body);
    },
  );
  server.maxConnections = limits.connections;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(endpoint, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

/** Health and metrics of the mounter over HTTP. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { text, type Answer } from '../admin/answer.ts';
import { isKnownHost } from '../admin/host.ts';
import type { Endpoint } from '../config/index.ts';
import { metricsText, type MountFacts } from './text.ts';
import type { Mounter } from './mounter.ts';

/** Timeouts in milliseconds, size in bytes, number of connections. */
const limits = { headersTimeout: 5_000, requestTimeout: 10_000, headerBytes: 8192, connections: 16 } as const;

type Page = (mounter: Mounter, facts: MountFacts) => Answer;

/** The pages by path. */
export const mounterPages: Readonly<Record<string, Page>> = {
  /** Does not depend on the mount: an absent server is no reason to restart this program. */
  '/livez': () => text(200, 'ok\n'),
  '/readyz': ({ state, seconds, address, reason }) => ({
    status: state === 'answering' ? 200 : 503,
    type: 'application/json; charset=utf-8',
    body: `${JSON.stringify({ state, seconds: Math.round(seconds), address, reason })}\n`,
  }),
  '/metrics': (mounter, facts) => ({
    status: 200,
    type: 'text/plain; version=0.0.4; charset=utf-8',
    body: metricsText(mounter, facts),
  }),
};

/** The same refusals as those of a gateway's admin port. */
function answerTo(
  { method = '', url = '/', headers }: IncomingMessage,
  mounter: Mounter,
  facts: MountFacts,
): Answer {
  if (!/^(?:GET|HEAD)$/.test(method)) return text(405, 'only GET here\n');
  if (!isKnownHost(headers.host, []))
    return text(421, 'not the name of this server: use an address or localhost\n');
  const path = url.split('?', 1)[0]!;
  if (!Object.hasOwn(mounterPages, path))
    return text(404, `no such page; there are ${Object.keys(mounterPages).join(' ')}\n`);
  return mounterPages[path]!(mounter, facts);
}

/** Starts the server. Resolves when it listens; rejects with the error of listen(2). */
export function serveMounter(mounter: Mounter, facts: MountFacts, endpoint: Endpoint): Promise<Server> {
  const server = createServer(
    {
      headersTimeout: limits.headersTimeout,
      requestTimeout: limits.requestTimeout,
      maxHeaderSize: limits.headerBytes,
    },
    (request, response) => {
      const { status, type, body } = answerTo(request, mounter, facts);
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

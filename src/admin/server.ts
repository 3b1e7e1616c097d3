/** The HTTP server of metrics and health. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '../log/index.ts';
import type { Metrics } from './metrics.ts';
import { isKnownHost } from './host.ts';
import { renderPage, renderSummary } from './page.ts';
import { summaryOf, type AdminState } from './state.ts';

/** Bounds of a request: bytes, milliseconds, connections. */
const limits = {
  headerBytes: 8192,
  headers: 64,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  idleTimeout: 15_000,
  closeTimeout: 1_000,
  connections: 64,
} as const;

export interface AdminOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Makes the server listen, in place of listen(2) at `host` and `port`. Rejects when it cannot. */
  readonly listen?: (server: Server) => Promise<unknown>;
  readonly metrics: Metrics;
  readonly state: () => AdminState;
  /** Whether a client of this address is shown paths and addresses. Others are shown numbers only. */
  readonly details: (address: string) => boolean;
  /** Names by which this server may be asked, besides addresses and localhost. */
  readonly hosts?: readonly string[];
  readonly log: Logger;
}

export interface AdminServer {
  readonly host: string;
  /** The real one. */
  readonly port: number;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const text = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body });

type Page = (options: AdminOptions, details: boolean) => Answer | Promise<Answer>;

/** What there is, by path. */
const pages: Readonly<Record<string, Page>> = {
  '/': ({ state }, details) => ({
    status: 200,
    type: 'text/html; charset=utf-8',
    body: details ? renderPage(state()) : renderSummary(summaryOf(state())),
  }),
  '/livez': () => text(200, 'ok\n'),
  '/readyz': ({ state }, details) => {
    const now = details ? state() : summaryOf(state());
    return {
      status: now.ready ? 200 : 503,
      type: 'application/json; charset=utf-8',
      body: `${JSON.stringify(now, null, 2)}\n`,
    };
  },
  '/metrics': async ({ metrics }, details) => ({
    status: 200,
    type: metrics.contentType,
    body: await metrics.text(details),
  }),
};

async function answer(request: IncomingMessage, options: AdminOptions): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'only GET and HEAD\n');
  const hasBody =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length']) > 0;
  if (hasBody) return text(413, 'a request has no body here\n');
  if (!isKnownHost(request.headers.host, options.hosts ?? []))
    return text(421, 'not the name of this server: use an address, or name it in admin.hosts\n');
  const path = (request.url ?? '/').split('?', 1)[0]!;
  if (!Object.hasOwn(pages, path))
    return text(404, `no such page; there are ${Object.keys(pages).join(' ')}\n`);
  return await pages[path]!(options, options.details(request.socket.remoteAddress ?? ''));
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
    // The body of a request that is refused is not read, so the connection cannot be used again.
    ...(status === 405 || status === 413 ? { connection: 'close' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function handler(options: AdminOptions) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, options)
      .catch((error: unknown) => {
        options.log.error({ err: error }, 'an admin page failed');
        return text(500, 'internal error\n');
      })
      .then((result) => send(request, response, result))
      .catch((error: unknown) => {
        options.log.error({ err: error }, 'an admin answer failed');
        response.destroy();
      });
  };
}

/** Resolves when it listens; rejects with the error of listen(2). */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const { host, port, log } = options;
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: 1000,
  });
  server.maxConnections = limits.connections;
  server.maxHeadersCount = limits.headers;
  server.setTimeout(limits.idleTimeout);
  server.on('request', handler(options));
  await (options.listen ? options.listen(server) : listen(server, host, port));
  server.on('error', (error) => log.error({ err: error }, 'the admin server has a problem'));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  return { host: address.address, port: address.port, close: () => close(server) };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** What is being answered is finished, but not waited for when its reader is slow. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), limits.closeTimeout);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** The HTTP server for metrics, health and the page. It never calls a source: all answers come from known state. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '../log/index.ts';
import { loadAssets, type Asset } from './assets.ts';
import { Events } from './events.ts';
import { Guard } from './guard.ts';
import { sendAnswer, text, type Answer } from './answer.ts';
import { isKnownHost } from './host.ts';
import { assetRoute, refuse, routes, wrongToken, type Context, type RouteOptions } from './routes.ts';

/** Limits: sizes in bytes, timeouts in milliseconds, and numbers of headers and connections. */
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

export interface AdminOptions extends RouteOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Makes the server listen, instead of listen(2) at `host` and `port`. Rejects if it cannot. */
  readonly listen?: (server: Server) => Promise<unknown>;
  /** Whether clients at this address may see paths and addresses without a token. */
  readonly details: (address: string) => boolean;
  /** The token of this port. Clients that send it may see paths and addresses and run actions. */
  readonly token?: string | undefined;
  /** Host names that requests may use, besides addresses and localhost. */
  readonly hosts?: readonly string[];
  /** The files of the page, by path; replaced in tests. */
  readonly assets?: ReadonlyMap<string, Asset>;
  readonly log: Logger;
}

export interface AdminServer {
  readonly host: string;
  /** The port that the server listens at, even if 0 was asked for. */
  readonly port: number;
  close(): Promise<void>;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  context: Context,
  hosts: readonly string[],
): Promise<Answer | undefined> {
  const path = (request.url ?? '/').split('?', 1)[0]!;
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const route = routes.get(path) ?? (context.assets.has(path) ? assetRoute : undefined);
  const { method: allowed, bodyBytes = 0 } = route ?? { method: 'GET' };
  if (method !== allowed) return text(405, `only ${allowed} here\n`);
  const length = Number(request.headers['content-length'] ?? 0);
  const isUnbounded = request.headers['transfer-encoding'] !== undefined;
  if (isUnbounded || !(length <= bodyBytes)) return text(413, 'the body of the request is not for here\n');
  if (!isKnownHost(request.headers.host, hosts))
    return text(421, 'not the name of this server: use an address, or name it in admin.hosts\n');
  if (!route) return text(404, `no such page; there are ${[...routes.keys()].join(' ')}\n`);
  // The reduced answer would hide the mistake, and guesses would not count.
  if (context.guard.hasWrongToken(request)) return refuse(context, request, wrongToken, 401);
  return await route.serve(context, request, response);
}

function handler(context: Context, { hosts = [], log }: AdminOptions) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response, context, hosts)
      .catch((error: unknown) => {
        // The client closed the connection in the middle of its request.
        if (request.errored) return undefined;
        log.error({ err: error }, 'an admin page failed');
        return text(500, 'internal error\n');
      })
      .then((result) => result && sendAnswer(request, response, result))
      .catch((error: unknown) => {
        log.error({ err: error }, 'an admin answer failed');
        response.destroy();
      });
  };
}

/** Starts the server. Resolves when it listens; rejects with the error of listen(2). */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const { host, port, log } = options;
  const events = new Events();
  const assets = options.assets ?? (await loadAssets());
  const context: Context = { ...options, events, guard: new Guard(options), assets };
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
  server.on('request', handler(context, options));
  await (options.listen ? options.listen(server) : listen(server, host, port));
  server.on('error', (error) => log.error({ err: error }, 'the admin server has a problem'));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  const end = () => {
    events.close();
    return close(server);
  };
  return { host: address.address, port: address.port, close: end };
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

/** Lets running answers finish, for at most `closeTimeout`, then closes all connections. */
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

/** The routes of the admin port. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { renderName, LineThrottle, type Logger } from '../log/index.ts';
import { readAction, type Actions } from './actions.ts';
import { commonHeaders, json, text, type Answer } from './answer.ts';
import type { Asset } from './assets.ts';
import type { Events } from './events.ts';
import type { Guard } from './guard.ts';
import type { Metrics } from './metrics.ts';
import { summaryOf, type AdminState } from './state.ts';
import type { Rights, Status } from './status.ts';

export interface RouteOptions {
  readonly metrics: Metrics;
  /** For health checks. */
  readonly state: () => AdminState;
  /** For the page. */
  readonly status: () => Status;
  readonly actions: Actions;
  readonly log: Logger;
}

export interface Context extends RouteOptions {
  readonly guard: Guard;
  readonly events: Events;
  readonly assets: ReadonlyMap<string, Asset>;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** Maximum size of the request body in bytes. */
  readonly bodyBytes?: number;
  /** Returns the answer; undefined if it keeps the response open and writes it itself. */
  readonly serve: (
    context: Context,
    request: IncomingMessage,
    response: ServerResponse,
  ) => Awaitable<Answer | undefined>;
}

type Awaitable<T> = T | Promise<T>;

/** A GET route whose answer depends on the client's rights. */
const page = (make: (context: Context, rights: Rights) => Awaitable<Answer>): Route => ({
  method: 'GET',
  serve: (context, request) => make(context, context.guard.rights(request)),
});

/** Serves the files of the page. */
export const assetRoute: Route = {
  method: 'GET',
  serve: ({ assets }, { url = '/' }) => ({ status: 200, ...assets.get(url.split('?', 1)[0]!)! }),
};

export const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['/', assetRoute],
  ['/livez', page(() => text(200, 'ok\n'))],
  [
    '/readyz',
    page(({ state }, { names }) => {
      const now = names ? state() : summaryOf(state());
      return json(now.ready ? 200 : 503, now);
    }),
  ],
  [
    '/metrics',
    page(async ({ metrics }, { names }) => ({
      status: 200,
      type: metrics.contentType,
      body: await metrics.text(names),
    })),
  ],
  ['/api/status', page((context, rights) => json(200, view(context, rights)))],
  ['/api/events', { method: 'GET', serve: sendEvents }],
  ['/api/login', { method: 'POST', bodyBytes: 1024, serve: logIn }],
  ['/api/actions', { method: 'POST', bodyBytes: 8192, serve: act }],
]);

/** The full status, or a summary for clients that may not see names. */
function view({ status, state }: Context, rights: Rights): object {
  return rights.names ? { rights, ...status() } : { rights, ...summaryOf(state()) };
}

function sendEvents(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
): Answer | undefined {
  const { events, guard } = context;
  const client = addressOf(request);
  if (events.isFullFor(client)) return text(503, 'too many pages are open already\n');
  if (request.method === 'HEAD') return text(200, '');
  const rights = guard.rights(request);
  const all = () => ({ name: 'status', data: view(context, rights) });
  // The page already has the earlier samples: send only the last one.
  const next = () => {
    if (!rights.names) return all();
    const now = context.status();
    return { name: 'status', data: { rights, ...now, samples: now.samples.slice(-1) } };
  };
  response.writeHead(200, { 'content-type': 'text/event-stream', ...commonHeaders });
  events.add({ response, client, audience: `${rights.names} ${rights.acts}`, next }, all());
  return undefined;
}

const refusedLines = new LineThrottle();

/** Counts and logs a refused request. */
export function refuse(
  { log, metrics }: Context,
  request: IncomingMessage,
  why: string,
  status: 401 | 403 = 403,
): Answer {
  metrics.authFailure('admin');
  const more = refusedLines.admit();
  if (more) log.warn({ client: addressOf(request), protocol: 'admin', reason: why, ...more }, 'refused');
  return text(status, `${why}\n`);
}

const addressOf = ({ socket }: IncomingMessage): string => socket.remoteAddress ?? '';

/**
 * Why a request may come from a page of another website (CSRF); undefined if it cannot. Such a page can make the browser send requests here, but not
 * with the header x-holdfast: for that the browser asks first (CORS preflight), and this server does not allow it.
 */
function foreignness({ headers }: IncomingMessage): string | undefined {
  const { origin, host = '' } = headers;
  const own = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
  if (!own) return 'not from this page: the header Origin names another website';
  return headers['x-holdfast'] === undefined
    ? 'not from this page: the header x-holdfast is missing'
    : undefined;
}

export const wrongToken = 'this is not the token';

async function logIn(context: Context, request: IncomingMessage): Promise<Answer> {
  const foreign = foreignness(request);
  if (foreign !== undefined) return refuse(context, request, foreign);
  const given = (await bodyOf(request)).trim();
  if (!context.guard.isToken(given)) return refuse(context, request, wrongToken);
  return { ...text(200, 'ok\n'), headers: { 'set-cookie': context.guard.cookie } };
}

async function act(context: Context, request: IncomingMessage): Promise<Answer> {
  const { guard, actions, log } = context;
  const foreign = foreignness(request);
  if (foreign !== undefined) return refuse(context, request, foreign);
  const { acts, token } = guard.rights(request);
  if (!acts) return refuse(context, request, token ? 'the token is missing' : 'only loopback may do this');
  const asked = readAction(await bodyOf(request));
  if (!asked || !Object.hasOwn(actions, asked.name))
    return text(400, `expected {"action": "…"} with one of ${Object.keys(actions).join(', ')}\n`);
  const { needs, run } = actions[asked.name]!;
  if (!needs.every((one) => Object.hasOwn(asked.args, one)))
    return text(400, `${asked.name} needs ${needs.join(', ')}\n`);
  const done = await run(asked.args);
  const args = Object.fromEntries(Object.entries(asked.args).map(([key, value]) => [key, renderText(value)]));
  const isDone = typeof done === 'string';
  log.info(
    { client: addressOf(request), action: asked.name, args, done: isDone },
    'asked for on the admin port',
  );
  if (typeof done === 'object') return json(409, { error: done.refused });
  return done === undefined
    ? json(404, { error: 'there is nothing like that any more' })
    : json(200, { done });
}

const renderText = (value: string) => renderName(Buffer.from(value, 'utf8').toString('latin1'));

/** Reads the request body. The server has already checked its length against the route's limit. */
async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

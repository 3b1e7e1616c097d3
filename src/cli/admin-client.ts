/** The client of a gateway's admin port, for the commands. */
import type { Rights } from '../admin/status.ts';
import { loadConfig, readSecretFile, type Endpoint } from '../config/index.ts';
import { UsageError, type Flag, type Invocation } from './command.ts';

export const adminFlags: readonly Flag[] = [
  {
    name: 'admin',
    value: 'HOST:PORT',
    help: 'where the gateway answers (default: as configured, 127.0.0.1:9445)',
  },
  { name: 'token-file', value: 'FILE', help: 'file with the token of that port, if it has one' },
  { name: 'config', value: 'FILE', help: 'configuration of the gateway, with its address and its token' },
];

/** Timeout of a request in ms. A gateway answers from known state, without a call to a source. */
const timeout = 5_000;

export interface AdminClient {
  readonly url: string;
  /** Gets the JSON at a path. Rejects with an AdminError that says what to do. */
  get(path: string): Promise<unknown>;
  /** Runs an action. Resolves with the gateway's message. Rejects with an AdminError, also if the gateway refuses the action. */
  act(action: string, args: Readonly<Record<string, string>>): Promise<string>;
}

/** A request failed or was refused. The message is one line for people. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
  readonly code = 'ADMIN';
  /** The HTTP status of the answer; undefined if there was none. */
  readonly status: number | undefined;

  constructor(message: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(message, options);
    this.status = options.status;
  }
}

export function adminClient(invocation: Invocation, env: NodeJS.ProcessEnv): AdminClient {
  const { endpoint, token, tokenFrom } = placeOf(invocation, env);
  const host = localHost(endpoint.host);
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${endpoint.port}`;
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const ask = async (path: string, init: RequestInit): Promise<Response> => {
    try {
      return await fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(timeout) });
    } catch (error) {
      const cause = (error as Error).cause ?? error;
      const hint = 'is the gateway running, and is this its admin port (--admin HOST:PORT)?';
      throw new AdminError(`no answer from ${url} (${(cause as Error).message}): ${hint}`, { cause: error });
    }
  };
  const wrongToken = () => new AdminError(`the token of ${tokenFrom} is not that of ${url}`, { status: 403 });
  return {
    url,
    get: async (path) => {
      const response = await ask(path, { headers });
      if (!response.ok)
        throw new AdminError(`${url}${path} answers ${response.status}: ${(await response.text()).trim()}`);
      const answer = (await response.json()) as { rights?: Rights };
      // A gateway with a token lets everybody who shows it act.
      if (token !== undefined && answer.rights?.token === true && !answer.rights.acts) throw wrongToken();
      return answer;
    },
    act: async (action, args) => {
      const init = { method: 'POST', headers: { ...headers, 'x-holdfast': 'command' } };
      const response = await ask('/api/actions', { ...init, body: JSON.stringify({ action, ...args }) });
      const said = await response.text();
      if (response.ok) return (JSON.parse(said) as { done: string }).done;
      const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
      const { status } = response;
      if (isJson) throw new AdminError((JSON.parse(said) as { error: string }).error, { status });
      if (status === 403 && said.trim() === 'the token is missing')
        throw token === undefined
          ? new AdminError(`${url} asks for its token: --token-file FILE or --config FILE`, { status })
          : wrongToken();
      throw new AdminError(said.trim(), { status });
    },
  };
}

interface Place {
  readonly endpoint: Endpoint;
  readonly token?: string;
  /** Where the token was given, for messages. */
  readonly tokenFrom: string;
}

function placeOf(invocation: Invocation, env: NodeJS.ProcessEnv): Place {
  const given = invocation.text('admin');
  const tokenFile = invocation.text('token-file');
  const file = invocation.text('config') ?? env.HOLDFAST_CONFIG;
  const flags = { config: invocation.text('config'), admin: given };
  // Without a file, only the address is needed; the path '/' is a placeholder, as a configuration must have an export.
  const config =
    file === undefined || file === ''
      ? loadConfig({ flags: { ...flags, path: '/' }, env, elsewhere: true })
      : loadConfig({ flags, env });
  const token = tokenFile === undefined ? config.admin.token?.reveal() : readToken(tokenFile);
  const tokenFrom = tokenFile === undefined ? `${file ?? ''} (admin)` : `--token-file ${tokenFile}`;
  return { endpoint: config.admin.listen, tokenFrom, ...(token !== undefined && { token }) };
}

function readToken(file: string): string {
  try {
    return readSecretFile(file);
  } catch (error) {
    throw new UsageError(`--token-file: ${file} ${(error as Error).message}`);
  }
}

/** A server that listens at every address is reached by loopback. */
const localHost = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host);

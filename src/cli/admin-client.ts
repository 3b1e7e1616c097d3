/** How a command asks a running gateway. */
import { loadConfig, readSecretFile, type Endpoint } from '../config/index.ts';
import { UsageError, type Flag, type Invocation } from './command.ts';

export const adminFlags: readonly Flag[] = [
  {
    name: 'admin',
    value: 'HOST:PORT',
    help: 'where the gateway answers (default: as configured, 127.0.0.1:9445)',
  },
  { name: 'token-file', value: 'FILE', help: 'file with the token of that port, where it has one' },
  { name: 'config', value: 'FILE', help: 'the configuration of the gateway: its address and its token' },
];

/** How long a gateway may take to answer, ms. It asks no source for it. */
const timeout = 5_000;

export interface AdminClient {
  readonly url: string;
  /** The answer's JSON. Rejects with an AdminError that says what to do. */
  get(path: string): Promise<unknown>;
  /** Has the gateway do something; resolves with what it says of it. Rejects like `get`, also when it is not done. */
  act(action: string, args: Readonly<Record<string, string>>): Promise<string>;
}

/** Has no answer. The message is for people, in one line. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
  readonly code = 'ADMIN';
}

export function adminClient(invocation: Invocation, env: NodeJS.ProcessEnv): AdminClient {
  const { endpoint, token } = placeOf(invocation, env);
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
  return {
    url,
    get: async (path) => {
      const response = await ask(path, { headers });
      if (!response.ok)
        throw new AdminError(`${url}${path} answers ${response.status}: ${(await response.text()).trim()}`);
      return await response.json();
    },
    act: async (action, args) => {
      const init = { method: 'POST', headers: { ...headers, 'x-holdfast': 'command' } };
      const response = await ask('/api/actions', { ...init, body: JSON.stringify({ action, ...args }) });
      const said = await response.text();
      if (response.ok) return (JSON.parse(said) as { done: string }).done;
      const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
      throw new AdminError(isJson ? (JSON.parse(said) as { error: string }).error : said.trim());
    },
  };
}

function placeOf(invocation: Invocation, env: NodeJS.ProcessEnv): { endpoint: Endpoint; token?: string } {
  const given = invocation.text('admin');
  const tokenFile = invocation.text('token-file');
  const file = invocation.text('config') ?? env.HOLDFAST_CONFIG;
  const flags = { config: invocation.text('config'), admin: given };
  // Without a file there is nothing but the address; a folder that is no matter stands for what is served.
  const config =
    file === undefined || file === ''
      ? loadConfig({ flags: { ...flags, path: '/' }, env, elsewhere: true })
      : loadConfig({ flags, env });
  const token = tokenFile === undefined ? config.admin.token?.reveal() : readToken(tokenFile);
  return { endpoint: config.admin.listen, ...(token !== undefined && { token }) };
}

function readToken(file: string): string {
  try {
    return readSecretFile(file);
  } catch (error) {
    throw new UsageError(`--token-file: ${file} ${(error as Error).message}`);
  }
}

/** What listens at every address is reached by loopback. */
const localHost = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host);

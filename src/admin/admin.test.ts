import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import {
  Metrics,
  startAdmin,
  type AdminOptions,
  type AdminServer,
  type AdminState,
  type Status,
  type WatchedSource,
} from './index.ts';

const live: AdminState = {
  ready: true,
  exports: [
    {
      name: 'dfs',
      path: '/mnt/<dfs>',
      state: 'live',
      reason: '',
      epoch: 1,
      nodes: 3,
      mounts: [],
      quarantine: [],
      waits: [],
    },
  ],
};
const torrents = {
  path: '/torr<ents>',
  state: 'down' as const,
  reason: 'the mount has gone',
  epoch: 2,
  quarantined: 0,
  waiting: 4,
};

const hung = {
  path: '/a/<b>.mkv',
  aspect: 'content',
  strikes: 2,
  retrySeconds: 17,
  clients: ['10.0.0.7', '10.0.0.8'],
};

/** A minimal status with recognisable values. */
const status = { at: 1, ready: true, exports: [{ name: 'dfs', path: '/mnt/<dfs>' }], samples: [] };
const page = { type: 'text/html; charset=utf-8', body: '<!doctype html>' };
const assets = new Map([['/', page]]);
const parts = {
  host: '127.0.0.1',
  status: () => status as unknown as Status,
  actions: {},
  details: () => true,
  assets,
  log: pino({ level: 'silent' }),
};

let server: AdminServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(
  state: () => AdminState = () => live,
  metrics = new Metrics({ process: false }),
  more: Partial<AdminOptions> = {},
) {
  server = await startAdmin({ ...parts, port: 0, metrics, state, ...more });
  const { port } = server;
  return {
    port,
    get: (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init),
  };
}

describe('Metrics', () => {
  it('counts requests, bytes and time by protocol and operation', async () => {
    const metrics = new Metrics({ process: false });
    const meter = metrics.request('nfs', 'READ');
    expect(metrics.request('nfs', 'READ')).toBe(meter);
    meter.observe(0.000_1, 100, 4096, true);
    meter.observe(0.003, 100, 1048576, true);
    meter.observe(90, 100, 8, false);
    const lines = (await metrics.text()).split('\n');
    for (const line of [
      '# TYPE holdfast_requests_total counter',
      'holdfast_requests_total{protocol="nfs",operation="READ",status="ok"} 2',
      'holdfast_requests_total{protocol="nfs",operation="READ",status="error"} 1',
      'holdfast_bytes_total{protocol="nfs",operation="READ",direction="in"} 300',
      'holdfast_bytes_total{protocol="nfs",operation="READ",direction="out"} 1052680',
      '# TYPE holdfast_request_duration_seconds histogram',
      'holdfast_request_duration_seconds_bucket{protocol="nfs",operation="READ",le="0.00005"} 0',
      'holdfast_request_duration_seconds_bucket{protocol="nfs",operation="READ",le="0.0001"} 1',
      'holdfast_request_duration_seconds_bucket{protocol="nfs",operation="READ",le="0.005"} 2',
      'holdfast_request_duration_seconds_bucket{protocol="nfs",operation="READ",le="60"} 2',
      'holdfast_request_duration_seconds_bucket{protocol="nfs",operation="READ",le="+Inf"} 3',
      'holdfast_request_duration_seconds_sum{protocol="nfs",operation="READ"} 90.0031',
      'holdfast_request_duration_seconds_count{protocol="nfs",operation="READ"} 3',
    ])
      expect(lines).toContain(line);
  });

  it('shows the current state of sources and lanes', async () => {
    const metrics = new Metrics({ process: false });
    const source = {
      state: 'live' as WatchedSource['state'],
      epoch: 1,
      mounts: [torrents],
      lanes: { data: { limit: 32, inFlight: 5, hung: 1, waiting: 7 } },
      quarantined: 2,
      quarantine: [hung],
      waiting: 3,
      requests: { running: 4, longestMs: 12_000 },
      streams: 2,
      outages: 5,
      content: { opens: 9, closes: 7, bytesAsked: 4096, bytesServed: 8192 },
      cached: { hits: 2048, joined: 1024, ahead: 512 },
      inquiries: { held: 1, heldTotal: 6, recovered: 3, outages: 2, verdicts: new Map([['io', 4]]) },
    };
    metrics.watchSource('dfs', source);
    expect(await metrics.text()).toContain('holdfast_source_state{export="dfs",state="live"} 1');
    source.state = 'down';
    const text = await metrics.text();
    expect(text).toContain('holdfast_source_state{export="dfs",state="live"} 0');
    expect(text).toContain('holdfast_source_state{export="dfs",state="down"} 1');
    expect(text).toContain('holdfast_lane_in_flight{export="dfs",lane="data"} 5');
    expect(text).toContain('holdfast_lane_waiting{export="dfs",lane="data"} 7');
    expect(text).toContain('holdfast_lane_limit{export="dfs",lane="data"} 32');
    expect(text).toContain('holdfast_source_quarantined{export="dfs"} 2');
    expect(text).toContain('holdfast_source_waiting{export="dfs"} 3');
    expect(text).toContain('holdfast_requests_waiting{export="dfs"} 4');
    expect(text).toContain('holdfast_longest_wait_seconds{export="dfs"} 12');
    expect(text).toContain('holdfast_streams{export="dfs"} 2');
    expect(text).toContain('holdfast_source_outages_total{export="dfs"} 5');
    expect(text).toContain('holdfast_source_mounts{export="dfs",state="down"} 1');
    expect(text).toContain('holdfast_mount_live{export="dfs",mount="/torr<ents>"} 0');
    expect(text).toContain('holdfast_mount_waiting{export="dfs",mount="/torr<ents>"} 4');
    expect(text).toContain('holdfast_source_descriptors{export="dfs"} 2');
    expect(text).toContain('holdfast_source_bytes_asked_total{export="dfs"} 4096');
    expect(text).toContain('holdfast_source_bytes_from_memory_total{export="dfs"} 2048');
    expect(text).toContain('holdfast_source_bytes_joined_total{export="dfs"} 1024');
    expect(text).toContain('holdfast_source_bytes_ahead_total{export="dfs"} 512');
    expect(text).toContain('holdfast_source_held_for_verdict{export="dfs"} 1');
    for (const [kind, count] of Object.entries({ answer: 3, outage: 2, io: 4 }))
      expect(text).toContain(`holdfast_source_verdicts_total{export="dfs",kind="${kind}"} ${count}`);
    expect(text).toContain(
      'holdfast_source_quarantine_clients{export="dfs",path="/a/<b>.mkv",aspect="content"} 2',
    );
  });

  it('shows the current use of the cache', async () => {
    const metrics = new Metrics({ process: false });
    const cache = { bytes: 4096, limit: 8192, evictions: 3, unreadBytes: 5 };
    metrics.watchCache(cache);
    cache.bytes = 6144;
    const text = await metrics.text();
    expect(text).toContain('holdfast_cache_bytes 6144');
    expect(text).toContain('holdfast_cache_limit_bytes 8192');
    expect(text).toContain('holdfast_cache_evictions_total 3');
    expect(text).toContain('holdfast_cache_unread_bytes_total 5');
  });

  it('shows the worker threads that work and that hang', async () => {
    const metrics = new Metrics({ process: false });
    metrics.watchWorkers({ busy: 3, aside: 1 });
    const text = await metrics.text();
    expect(text).toContain('holdfast_workers_busy 3');
    expect(text).toContain('holdfast_workers_hung 1');
  });

  it('counts connections', async () => {
    const metrics = new Metrics({ process: false });
    const meter = metrics.connections('nfs');
    meter.opened();
    meter.opened();
    meter.closed();
    const text = await metrics.text();
    expect(text).toContain('holdfast_connections{protocol="nfs"} 1');
    expect(text).toContain('holdfast_connections_total{protocol="nfs"} 2');
  });

  it('counts refusals, JUKEBOX answers and SMB objects', async () => {
    const metrics = new Metrics({ process: false });
    metrics.authFailure('smb');
    metrics.jukebox += 2;
    metrics.watchSmb(() => ({ sessions: 3, opens: 7, leases: 1 }));
    const text = await metrics.text();
    for (const line of [
      'holdfast_auth_failures_total{protocol="smb"} 1',
      'holdfast_auth_failures_total{protocol="nfs"} 0',
      'holdfast_nfs_jukebox_total 2',
      'holdfast_smb_sessions 3',
      'holdfast_smb_opens 7',
      'holdfast_smb_leases 1',
    ])
      expect(text).toContain(line);
  });

  it('includes the event-loop delay and the metrics of the process', async () => {
    const metrics = new Metrics();
    metrics.addInfo({ version: '1.2.3' });
    const text = await metrics.text();
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
    expect(text).toContain('process_resident_memory_bytes');
    expect(text).toContain('holdfast_info{version="1.2.3"} 1');
  });
});

describe('admin server', () => {
  it('serves metrics, health and the page', async () => {
    const { get } = await start();
    const metrics = await get('/metrics');
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await metrics.text()).toContain('# TYPE holdfast_requests_total counter');
    expect(await (await get('/livez')).text()).toBe('ok\n');
    expect(await (await get('/readyz?verbose')).json()).toEqual(live);
    const html = await get('/');
    expect([html.headers.get('content-type'), await html.text()]).toEqual([page.type, page.body]);
    expect(html.headers.get('content-security-policy')).toContain("script-src 'self';");
    expect(await (await get('/api/status')).json()).toEqual({
      rights: { names: true, acts: true, token: false },
      ...status,
    });
  });

  it('shows objects that do not answer and the clients that wait for them', async () => {
    const waits = [{ path: '', requests: 3, clients: ['10.0.0.9'], seconds: 12 }];
    const troubled = {
      ...live,
      exports: [{ ...live.exports[0]!, mounts: [torrents], quarantine: [hung], waits }],
    };
    const { get } = await start(() => troubled);
    expect(await (await get('/readyz')).json()).toEqual(troubled);
  });

  it('shows only numbers to addresses that the configuration does not allow', async () => {
    const waits = [{ path: '/b.mkv', requests: 3, clients: ['10.0.0.9'], seconds: 12 }];
    const troubled = { ...live, exports: [{ ...live.exports[0]!, quarantine: [hung], waits }] };
    const metrics = new Metrics({ process: false });
    const source = {
      state: 'live' as const,
      epoch: 1,
      mounts: [torrents],
      lanes: {},
      quarantined: 1,
      quarantine: [hung],
      waiting: 3,
      requests: { running: 4, longestMs: 12_000 },
      streams: 2,
      outages: 5,
      content: { opens: 1, closes: 1, bytesAsked: 0, bytesServed: 0 },
      cached: { hits: 0, joined: 0, ahead: 0 },
      inquiries: { held: 0, heldTotal: 0, recovered: 0, outages: 0, verdicts: new Map<string, number>() },
    };
    metrics.watchSource('dfs', source);
    const named = new Set<string>();
    const details = (address: string) => named.has(address);
    const { get } = await start(() => troubled, metrics, { details });
    const all = async () => {
      const pages = ['/api/status', '/readyz', '/metrics'].map((path) => get(path));
      return (await Promise.all((await Promise.all(pages)).map((page) => page.text()))).join('\n');
    };
    const secrets = ['torr', '.mkv', '/mnt/', '10.0.0.9', '10.0.0.7'];
    const shown = await all();
    for (const secret of secrets) expect(shown).not.toContain(secret);
    expect(shown).toContain('"waiting": 3');
    expect(shown).toContain('holdfast_source_quarantined{export="dfs"} 1');
    named.add('127.0.0.1');
    const now = await all();
    for (const secret of secrets) expect(now).toContain(secret);
  });

  it('is alive but not ready while the gateway is not ready', async () => {
    const { get } = await start(() => ({ ...live, ready: false }));
    expect((await get('/readyz')).status).toBe(503);
    expect((await get('/livez')).status).toBe(200);
  });

  it('answers only GET and HEAD, and only for existing paths', async () => {
    const { get } = await start();
    expect((await get('/metrics', { method: 'POST', body: 'x' })).status).toBe(405);
    expect((await get('/etc/passwd')).status).toBe(404);
    expect((await get('/constructor')).status).toBe(404);
    const head = await get('/livez', { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '3', '']);
  });

  it('answers 500 if collecting the state fails, and continues to serve', async () => {
    const { get } = await start(() => {
      throw new Error('no state');
    });
    expect((await get('/readyz')).status).toBe(500);
    expect((await get('/livez')).status).toBe(200);
  });

  it.each([
    ['a header without end', `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}`, /^HTTP\/1\.1 431 /],
    ['no HTTP', '\0\0\0\x2a\x80\0\0\x28\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a GET with a body', 'GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n', /^HTTP\/1\.1 413 /],
    ['a page of another site', 'GET / HTTP/1.0\r\nhost: attacker.example\r\n\r\n', /^HTTP\/1\.1 421 /],
    ['no name at all', 'GET /livez HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 200 /],
  ])('ends the connection of %s', async (_, request, status) => {
    const { port } = await start();
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (data) => (answer += data.toString('latin1')));
    socket.on('error', () => undefined);
    socket.write(request);
    await once(socket, 'close');
    expect(answer).toMatch(status);
  });

  it('sends events to pages, and ends the streams when it stops', async () => {
    let at = 0;
    const { get } = await start(undefined, undefined, {
      status: () => ({ ...status, at: (at += 1), samples: [1, 2, 3] }) as unknown as Status,
    });
    const events = (await get('/api/events')).body!.pipeThrough(new TextDecoderStream());
    let told = '';
    for await (const piece of events) {
      told += piece;
      const messages = told.split('\n\n').slice(0, -1);
      if (messages.length < 2) continue;
      const [first, second] = messages.map((message) => {
        const [, data = ''] = /^event: status\ndata: (.*)$/.exec(message) ?? [];
        return JSON.parse(data) as Status;
      });
      expect([first!.at, first!.samples]).toEqual([1, [1, 2, 3]]);
      expect([second!.at, second!.samples]).toEqual([2, [3]]);
      await server!.close();
    }
  });

  it('limits the number of pages that receive events, for each address', async () => {
    const { get } = await start();
    const open = await Promise.all(Array.from({ length: 8 }, () => get('/api/events')));
    for (const method of ['GET', 'HEAD']) expect((await get('/api/events', { method })).status).toBe(503);
    const { port } = server!;
    const other = request({ port, host: '127.0.0.1', localAddress: '127.0.0.2', path: '/api/events' }).end();
    const [answer] = (await once(other, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(200);
    answer.destroy();
    await Promise.all(open.map((response) => response.body!.cancel()));
  });

  it('runs actions, but not for a page of another website', async () => {
    const asked: unknown[] = [];
    const retry = (args: object) => (asked.push(args), asked.length === 1 ? 'done' : undefined);
    const { get } = await start(undefined, undefined, {
      actions: { retry: { needs: ['path'], run: retry } },
    });
    const post = (body: string, headers: Record<string, string> = { 'x-holdfast': 'test' }) =>
      get('/api/actions', { method: 'POST', body, headers });
    const body = JSON.stringify({ action: 'retry', path: '/a/b.mkv' });
    expect(await (await post(body)).json()).toEqual({ done: 'done' });
    expect((await post(body)).status).toBe(404);
    expect(asked).toEqual([{ path: '/a/b.mkv' }, { path: '/a/b.mkv' }]);
    for (const wrong of [
      '',
      '[]',
      '{"action":"constructor"}',
      '{"action":"retry","path":1}',
      '{"action":"retry"}',
    ])
      expect((await post(wrong)).status).toBe(400);
    // A request that a page of another website can make a browser send.
    expect((await post(body, { 'content-type': 'text/plain' })).status).toBe(403);
    const foreign = await post(body, { 'x-holdfast': '1', origin: 'http://attacker.example' });
    expect([foreign.status, await foreign.text()]).toEqual([403, expect.stringContaining('Origin')]);
    expect((await post('x'.repeat(9_000))).status).toBe(413);
    expect(asked.length).toBe(2);
  });

  it('requires the token if there is one', async () => {
    const token = '0123456789abcdef';
    const retry = () => 'done';
    const details = () => false;
    const metrics = new Metrics({ process: false });
    const { get } = await start(undefined, metrics, {
      token,
      details,
      actions: { retry: { needs: [], run: retry } },
    });
    const see = async (headers: Record<string, string>) =>
      (await (await get('/api/status', { headers })).text()).includes('/mnt/');
    const act = async (headers: Record<string, string>) =>
      (
        await get('/api/actions', {
          method: 'POST',
          body: '{"action":"retry"}',
          headers: { 'x-holdfast': '1', ...headers },
        })
      ).status;
    const logIn = (body: string) =>
      get('/api/login', { method: 'POST', body, headers: { 'x-holdfast': '1' } });
    const bearer = (text: string) => ({ authorization: `Bearer ${text}` });

    expect([await see({}), await act({})]).toEqual([false, 403]);
    expect([await see(bearer('0123456789abcdeF')), await act(bearer(''))]).toEqual([false, 403]);
    for (const path of ['/api/status', '/readyz', '/metrics'])
      expect((await get(path, { headers: bearer('wrong') })).status).toBe(401);
    expect([await see(bearer(token)), await act(bearer(token))]).toEqual([true, 200]);
    expect((await logIn('wrong')).status).toBe(403);
    const cookie = (await logIn(`${token}\n`)).headers.get('set-cookie')!;
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(token);
    const pair = { cookie: `a=b; ${cookie.split(';')[0]!}` };
    expect([await see(pair), await act(pair)]).toEqual([true, 200]);
    expect(await see({ cookie: 'holdfast=' })).toBe(false);
    expect(await metrics.text()).toContain('holdfast_auth_failures_total{protocol="admin"} 7');
  });

  it('rejects when it cannot listen', async () => {
    const { port } = await start();
    const again = startAdmin({ ...parts, port, metrics: new Metrics({ process: false }), state: () => live });
    await expect(again).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });
});

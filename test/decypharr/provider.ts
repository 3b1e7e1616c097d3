/** Simulates the debrid service: its API over HTTPS, its downloads over HTTP, and their faults. */
import { EventEmitter, once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https';
import type { Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fillContent } from '../../src/demo/content.ts';
import type { Certificates } from './certificates.ts';
import { pathOf, seedOf, type Release, type RemoteFile } from './library.ts';

export const DOWNLOAD_PORT = 8080;
const API = '/rest/1.0';
const UNKNOWN = { error: 'unknown_ressource', error_code: 7 };
const SMALLEST_PIECE = 16 * 1024;
const LARGEST_PIECE = 256 * 1024;
/** Each piece of a download holds the bytes of this many seconds. */
const PIECE_SECONDS = 0.005;

/** Counters of the provider. `bytes` were written to the network. */
export interface Counts {
  readonly downloads: number;
  readonly bytes: number;
  /** Requests for a download link. */
  readonly links: number;
  /** HEAD requests, which check whether a link works. */
  readonly checks: number;
}

interface Known {
  readonly release: Release;
  readonly file: RemoteFile;
  readonly seed: string;
}

export class Provider {
  /** Bytes per second of each connection. */
  rate = 30e6;
  /** Ms before the first byte of a download. */
  firstByteMs = 20;
  /** Dead links: the hoster has lost the file. */
  readonly dead = new Set<string>();
  #releases: readonly Release[] = [];
  readonly #links = new Map<string, Known>();
  readonly #counts = { downloads: 0, bytes: 0, links: 0, checks: 0 };
  readonly #events = new EventEmitter();
  #stalled = false;
  readonly #downloads: HttpServer;
  readonly #api: HttpsServer;

  constructor({ key, certificate }: Certificates) {
    this.#events.setMaxListeners(0);
    this.#downloads = createServer((request, response) => void this.#download(request, response));
    this.#api = createTlsServer({ key, cert: certificate }, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  /** Serves the connections that these two listeners accept. */
  serve(api: Server, downloads: Server): void {
    api.on('connection', (socket) => this.#api.emit('connection', socket));
    downloads.on('connection', (socket) => this.#downloads.emit('connection', socket));
    this.#events.once('close', () => {
      api.close();
      downloads.close();
    });
  }

  get releases(): readonly Release[] {
    return this.#releases;
  }

  set releases(releases: readonly Release[]) {
    this.#releases = releases;
    this.#links.clear();
    for (const release of releases) {
      for (const file of release.files)
        this.#links.set(file.link, { release, file, seed: seedOf(pathOf(release, file)) });
    }
  }

  /** Until {@link resume}, downloads send nothing and new ones get no answer. */
  stall(): void {
    this.#stalled = true;
  }

  resume(): void {
    this.#stalled = false;
    this.#events.emit('resume');
  }

  /** Returns a function that gives the counts since this call. */
  count(): () => Counts {
    const before = { ...this.#counts };
    return () => ({
      downloads: this.#counts.downloads - before.downloads,
      bytes: this.#counts.bytes - before.bytes,
      links: this.#counts.links - before.links,
      checks: this.#counts.checks - before.checks,
    });
  }

  close(): void {
    this.#events.emit('close');
    this.resume();
    this.#downloads.closeAllConnections();
    this.#api.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'https://host');
    const path = url.pathname.replace(API, '').replace(/\/$/, '');
    const reply = (status: number, body?: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body === undefined ? '' : JSON.stringify(body));
    };
    if (request.method === 'GET') {
      const { status, body } = this.#lookUp(path, url.searchParams);
      reply(status, body);
    } else if (request.method === 'POST' && path === '/unrestrict/link') {
      this.#counts.links += 1;
      const form = new URLSearchParams(await text(request));
      const link = form.get('link') ?? '';
      const known = this.#links.get(link);
      if (!known || this.dead.has(link)) reply(503, { error: 'hoster_unavailable', error_code: 19 });
      else reply(200, unrestricted(known.file));
    } else if (request.method === 'POST' && path === '/unrestrict/check') {
      const form = new URLSearchParams(await text(request));
      reply(this.dead.has(form.get('link') ?? '') ? 503 : 200, {});
    } else if (request.method === 'DELETE') reply(204);
    // A dead file cannot be added again. After any other answer Decypharr retries ten times, for 70 s.
    else reply(404, UNKNOWN);
  }

  #lookUp(path: string, query: URLSearchParams): { status: number; body: unknown } {
    const fixed: Readonly<Record<string, unknown>> = {
      '/user': {
        id: 1,
        username: 'test',
        email: '',
        points: 0,
        type: 'premium',
        premium: 1e7,
        expiration: '2100-01-01T00:00:00Z',
      },
      '/traffic/details': {},
      '/torrents/activeCount': { nb: 0, limit: 100 },
      '/downloads': [],
    };
    if (path in fixed) return { status: 200, body: fixed[path] };
    if (path === '/torrents') {
      const from = Number(query.get('offset') ?? 0);
      const page = this.#releases.slice(from, from + Number(query.get('limit') ?? 100));
      return { status: 200, body: page.map((release) => torrent(release)) };
    }
    const id = /^\/torrents\/info\/(.+)$/.exec(path)?.[1];
    const release = this.#releases.find((one) => one.id === id);
    if (!release) return { status: 404, body: UNKNOWN };
    const files = release.files.map(({ name, size }, i) => ({
      ...{ id: i + 1, path: `/${name}`, bytes: size, selected: 1 },
    }));
    return { status: 200, body: { ...torrent(release), original_filename: release.name, files } };
  }

  async #download(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = decodeURIComponent(request.url!.slice(1));
    const known = this.#links.get(id);
    try {
      if (!known || this.dead.has(id)) response.writeHead(503).end();
      else if (request.method === 'HEAD') {
        this.#counts.checks += 1;
        response.writeHead(200, { 'content-length': known.file.size, 'accept-ranges': 'bytes' }).end();
      } else {
        this.#counts.downloads += 1;
        await this.#send(known, request.headers.range, response);
      }
    } catch {
      response.destroy();
    }
  }

  async #send(known: Known, range: string | undefined, response: ServerResponse): Promise<void> {
    const { size } = known.file;
    const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? 'bytes=0-');
    const from = Number(match?.[1]);
    const to = match?.[2] ? Math.min(Number(match[2]), size - 1) : size - 1;
    if (!match || from > to) {
      response.writeHead(416, { 'content-range': `bytes */${String(size)}` }).end();
      return;
    }
    await delay(this.firstByteMs);
    await this.#whileStalled();
    response.writeHead(range === undefined ? 200 : 206, {
      'content-length': to - from + 1,
      'content-range': `bytes ${String(from)}-${String(to)}/${String(size)}`,
      'content-type': 'application/octet-stream',
    });
    let due = performance.now();
    for (let at = from; at <= to && !response.destroyed;) {
      const wanted = Math.min(LARGEST_PIECE, Math.max(SMALLEST_PIECE, this.rate * PIECE_SECONDS));
      const piece = Buffer.allocUnsafe(Math.min(Math.round(wanted), to - at + 1));
      fillContent(known.seed, at, piece);
      if (!response.write(piece)) await drained(response);
      this.#counts.bytes += piece.length;
      at += piece.length;
      due += (piece.length / this.rate) * 1000;
      if (due > performance.now() + 1) await delay(due - performance.now());
      // Do not send faster after a pause of the reader.
      else if (due < performance.now() - 100) due = performance.now();
      await this.#whileStalled();
    }
    response.end();
  }

  async #whileStalled(): Promise<void> {
    while (this.#stalled) await once(this.#events, 'resume');
  }
}

/** Resolves when the connection accepts more data or is closed. */
async function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  const done = new AbortController();
  const { signal } = done;
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
  done.abort();
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const total = ({ files }: Release) => files.reduce((sum, { size }) => sum + size, 0);

function torrent(release: Release): object {
  return {
    id: release.id,
    filename: release.name,
    hash: release.hash,
    bytes: total(release),
    original_bytes: total(release),
    host: 'real-debrid.com',
    split: 2000,
    progress: 100,
    status: 'downloaded',
    added: release.added,
    ended: release.added,
    links: release.files.map(({ link }) => link),
  };
}

function unrestricted({ name, size, link }: RemoteFile): object {
  return {
    id: link.slice(-13),
    filename: name,
    mimeType: 'video/x-matroska',
    filesize: size,
    link,
    host: 'real-debrid.com',
    chunks: 32,
    crc: 1,
    download: `http://127.0.0.1:${String(DOWNLOAD_PORT)}/${encodeURIComponent(link)}`,
    streamable: 1,
  };
}

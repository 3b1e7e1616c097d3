/** An HTTP server on loopback for httpdirfs: it lists a folder as web servers do and supports Range. */
import { once } from 'node:events';
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export class HttpFolder {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async serve(folder: string): Promise<HttpFolder> {
    const server = createServer((request, response) => answer(folder, request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new HttpFolder(server);
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}/`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function answer(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const path = join(folder, decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname));
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) response.writeHead(404).end();
  else if (stat.isDirectory()) listFolder(path, response);
  else sendFile(path, stat.size, stat.mtime, request, response);
}

function listFolder(path: string, response: ServerResponse): void {
  const links = readdirSync(path, { withFileTypes: true }).map((entry) => {
    const link = encodeURIComponent(entry.name) + (entry.isDirectory() ? '/' : '');
    return `<a href="${link}">${link}</a>\n`;
  });
  response.writeHead(200, { 'content-type': 'text/html' });
  response.end(`<html><body>\n<a href="../">../</a>\n${links.join('')}</body></html>\n`);
}

function sendFile(
  path: string,
  size: number,
  mtime: Date,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = match ? Number(match[1]) : 0;
  const end = match?.[2] ? Math.min(Number(match[2]), size - 1) : size - 1;
  const headers = { 'accept-ranges': 'bytes', 'last-modified': mtime.toUTCString() };
  const range = match ? { 'content-range': `bytes ${String(start)}-${String(end)}/${String(size)}` } : {};
  response.writeHead(match ? 206 : 200, {
    ...headers,
    ...range,
    'content-length': Math.max(0, end - start + 1),
  });
  if (request.method === 'HEAD' || end < start) response.end();
  else createReadStream(path, { start, end }).pipe(response);
}

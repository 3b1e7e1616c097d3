/** Formats the status of a gateway for a terminal. The gateway has already removed control characters from all texts. */
import { bytes, duration, milliseconds, plural, progress } from '../admin/format.ts';
import type { AdminSummary } from '../admin/state.ts';
import type { Status } from '../admin/status.ts';
import { textTable } from './text-table.ts';

const section = (title: string, table: string) => (table === '' ? '' : `\n${title}\n${table}`);

export function statusText(status: Status): string {
  const { at, process: program, listening } = status;
  const places = listening.map(({ protocol, host, port }) => `${protocol} ${host}:${port}`).join(', ');
  const head = `Holdfast ${program.version}, process ${program.pid}, up for ${duration((at - program.startedAt) / 1000)}, ${bytes(program.rssBytes)}, content in memory ${bytes(program.cacheBytes)} of ${bytes(program.cacheLimitBytes)}\n${places}\n`;
  return `${head}${exportLines(status)}${mountLines(status)}${waitLines(status)}${quarantineLines(status)}${streamLines(status)}${clientLines(status)}`;
}

function exportLines({ at, exports }: Status): string {
  const rows = exports.map(({ name, path, state, reason, history, waitingForSource, nodes }) => [
    name,
    path,
    state,
    duration((at - history.since) / 1000),
    plural(history.outages, 'outage'),
    `${nodes} known`,
    waitingForSource === 0 ? '' : `${plural(waitingForSource, 'request')} waiting`,
    state === 'live' ? '' : reason,
  ]);
  return section(
    'Exports',
    textTable(['EXPORT', 'PATH', 'SOURCE', 'FOR', 'SO FAR', 'OBJECTS', '', ''], rows),
  );
}

function mountLines({ exports }: Status): string {
  const rows = exports.flatMap(({ name, mounts }) =>
    mounts.map(({ path, state, reason, waiting }) => [
      name,
      path,
      state,
      waiting === 0 ? '' : `${plural(waiting, 'request')} waiting`,
      state === 'live' ? '' : reason,
    ]),
  );
  return section('Mounts below', textTable(['EXPORT', 'MOUNT', 'SOURCE', '', ''], rows));
}

function waitLines({ exports }: Status): string {
  const rows = exports.flatMap(({ name, waits }) =>
    waits.map(({ path, seconds, requests, clients }) => [
      name,
      duration(seconds),
      String(requests),
      clients.join(' '),
      path || '/',
    ]),
  );
  return section('Who waits', textTable(['EXPORT', 'SINCE', 'REQUESTS', 'CLIENTS', 'FOR'], rows));
}

function quarantineLines({ exports }: Status): string {
  const rows = exports.flatMap(({ name, quarantine }) =>
    quarantine.map(({ path, aspect, strikes, retrySeconds, clients }) => [
      name,
      aspect,
      String(strikes),
      retrySeconds === 0 ? 'at the next request' : `in ${duration(retrySeconds)}`,
      clients.join(' '),
      path,
    ]),
  );
  return section(
    'In quarantine',
    textTable(['EXPORT', 'WHAT', 'FAILED', 'TRIED AGAIN', 'CLIENTS', 'PATH'], rows),
  );
}

function streamLines({ streams }: Status): string {
  const rows = streams.map((stream) => [
    stream.client,
    stream.protocol.toUpperCase(),
    `${bytes(stream.bytesPerSecond)}/s`,
    bytes(stream.bytes),
    progress(stream.position, stream.size),
    milliseconds(stream.firstByteMs),
    `${stream.export}${stream.path}`,
  ]);
  return section('Streams', textTable(['CLIENT', 'BY', 'RATE', 'READ', 'AT', 'FIRST BYTE', 'FILE'], rows));
}

function clientLines({ sessions, nfsClients }: Status): string {
  const smb = sessions.map(({ client, user, guest, dialect, exports, opens, seconds }) => [
    client,
    `SMB ${dialect}`,
    guest ? 'guest' : user,
    exports.join(' '),
    plural(opens, 'open'),
    duration(seconds),
  ]);
  const nfs = nfsClients.map(({ client, mounts, connections, bytesOut, seconds }) => [
    client,
    'NFS',
    plural(connections, 'connection'),
    mounts.join(' '),
    `${bytes(bytesOut)} sent`,
    duration(seconds),
  ]);
  return section('Clients', textTable(['CLIENT', 'BY', 'AS', 'MOUNTED', '', 'FOR'], [...smb, ...nfs]));
}

/** Formats the summary, for clients that may see neither paths nor addresses. */
export function summaryText({ exports }: AdminSummary): string {
  const rows = exports.map(({ name, state, epoch, nodes, quarantined, waiting }) => [
    name,
    state,
    ...[epoch, nodes, quarantined, waiting].map(String),
  ]);
  const table = textTable(['EXPORT', 'SOURCE', 'MOUNTS SEEN', 'OBJECTS', 'IN QUARANTINE', 'WAITING'], rows);
  return `${table}Numbers only: from another machine, or without its token, a gateway shows neither paths nor addresses.\n`;
}

/** The page: receives the status as events and shows it. */
import type { Rights, Status } from '../admin/status.ts';
import { byId, LiveTable, setText, show } from './dom.ts';
import type { Row } from './rows.ts';
import { bytes, duration } from '../admin/format.ts';
import { Plots } from './plots.ts';
import {
  exportRows,
  historyRows,
  nfsRows,
  notice,
  mountRows,
  quarantineRows,
  sessionRows,
  streamRows,
  waitRows,
  type Act,
} from './tables.ts';

type View = { readonly rights: Rights } & Partial<Status>;

interface NumbersOnly {
  readonly exports: readonly {
    readonly name: string;
    readonly state: string;
    readonly epoch: number;
    readonly nodes: number;
    readonly quarantined: number;
    readonly waiting: number;
  }[];
}

const table = (id: string, caption: string, head: readonly string[]) =>
  new LiveTable(byId(id), caption, head);

const exportTable = table('exports', 'Exports', [
  'Export',
  'Path',
  'Source',
  'For',
  'Why',
  'Outages, in all',
  'Objects known',
  'Files open',
  'Calls running',
  'Read from memory',
]);
const numbersTable = table('exports', 'Exports', [
  'Export',
  'Source',
  'Mounts seen',
  'Objects known',
  'In quarantine',
  'Requests waiting',
]);
const mounts = table('mounts', 'Mounts below the exports', [
  'Export',
  'Mount',
  'Source',
  'Why',
  'Mounts seen',
  'Requests waiting',
  '',
]);
const waits = table('waits', 'Who waits', ['Export', 'For', 'Since', 'Requests', 'Clients']);
const quarantine = table('quarantine', 'In quarantine', [
  'Export',
  'Path',
  'What',
  'Failed in a row',
  'Tried again in',
  'Clients that waited',
  '',
]);
const streams = table('streams', 'Streams now', [
  'File',
  'Client',
  'By',
  'Rate',
  'Read',
  'At',
  'First byte after',
  'Slowest read',
  'State',
]);
const sessions = table('sessions', 'SMB sessions', [
  'Client',
  'User',
  'By',
  'Exports',
  'Files',
  'Connections',
  'For',
  '',
]);
const nfsClients = table('nfs-clients', 'NFS clients', [
  'Client',
  'Mounted',
  'Connections',
  'Calls',
  'Sent to it',
  'For',
  '',
]);
const history = table('history', 'History of the sources', ['When', 'Export', 'State', 'Why', 'Mounts seen']);
const plots = new Plots();

const post = (path: string, body: string) =>
  fetch(path, { method: 'POST', headers: { 'x-holdfast': 'page' }, body });

const doIt: NonNullable<Act> = (action, question) => {
  if (question !== undefined && !confirm(question)) return;
  void post('/api/actions', JSON.stringify(action)).then(async (response) => {
    if (!response.ok) setText(byId('link'), (await response.text()).trim());
  });
};

function fill(section: string, target: LiveTable, rows: readonly Row[]): void {
  target.update(rows);
  show(section, rows.length > 0);
}

function showAll(status: Status, rights: Rights): void {
  const act = rights.acts ? doIt : undefined;
  const { version, startedAt, node, pid, cacheBytes, cacheLimitBytes } = status.process;
  const up = duration((status.at - startedAt) / 1000);
  setText(
    byId('about'),
    `${version} · Node ${node} · process ${pid} · up for ${up} · content in memory ${bytes(cacheBytes)} of ${bytes(cacheLimitBytes)}`,
  );
  setText(byId('notice'), notice(status));
  exportTable.update(exportRows(status));
  fill('mounts-section', mounts, mountRows(status, act));
  fill('waits-section', waits, waitRows(status));
  fill('quarantine-section', quarantine, quarantineRows(status, act));
  fill('streams-section', streams, streamRows(status));
  sessions.update(sessionRows(status, act));
  nfsClients.update(nfsRows(status, act));
  show('clients-section', status.sessions.length + status.nfsClients.length > 0);
  fill('history-section', history, historyRows(status));
  show('plots-section', true);
  plots.add(status.samples);
}

function showNumbers({ exports }: NumbersOnly): void {
  setText(byId('about'), 'Numbers only: paths and addresses are not for everybody.');
  numbersTable.update(
    exports.map(({ name, state, ...numbers }) => ({
      key: name,
      cells: [
        name,
        { text: state, style: state },
        ...[numbers.epoch, numbers.nodes, numbers.quarantined, numbers.waiting].map(String),
      ],
    })),
  );
}

/** The mounts of an export: a list, or numbers only, depending on the client's rights. */
interface Told {
  readonly state: string;
  readonly mounts: readonly { readonly state: string }[] | number;
  readonly mountsAway?: number;
}

/** Whether an export and all mounts below it are live. */
function isWell({ state, mounts, mountsAway = 0 }: Told): boolean {
  const away = typeof mounts === 'number' ? mountsAway : mounts.filter((one) => one.state !== 'live').length;
  return state === 'live' && away === 0;
}

function receive(view: View): void {
  setText(byId('link'), view.ready === false ? 'Not ready.' : 'Live.');
  byId('link').className = '';
  show('login', view.rights.token && !view.rights.acts);
  if (view.rights.names) showAll(view as Status, view.rights);
  else showNumbers(view as unknown as NumbersOnly);
  document.title = view.exports?.every(isWell) === true ? 'Holdfast' : '(!) Holdfast';
}

/** An EventSource does not show the HTTP error that ended it. */
async function tellWhy(): Promise<void> {
  const answer = await fetch('/api/events', { method: 'HEAD' }).catch(() => undefined);
  if (answer?.status === 503)
    setText(byId('link'), 'Too many pages of this gateway are open: close one. Trying again …');
}

function follow(): EventSource {
  const events = new EventSource('/api/events');
  events.addEventListener('status', ({ data }: MessageEvent<string>) => receive(JSON.parse(data) as View));
  events.addEventListener('error', () => {
    setText(byId('link'), 'The gateway does not answer. Trying again …');
    byId('link').className = 'lost';
    if (events.readyState !== EventSource.CLOSED) return;
    // After an HTTP error the browser does not reconnect by itself.
    setTimeout(() => (source = follow()), 3000);
    void tellWhy();
  });
  return events;
}

let source = follow();

byId('login').addEventListener('submit', (event) => {
  event.preventDefault();
  const field = byId('token') as HTMLInputElement;
  void post('/api/login', field.value).then((response) => {
    setText(byId('login-error'), response.ok ? '' : 'This is not the token.');
    if (!response.ok) return;
    field.value = '';
    source.close();
    source = follow();
  });
});

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => plots.restyle());
addEventListener('resize', () => plots.resize());

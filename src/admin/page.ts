/** The page that a person sees at `/`. Plain HTML, no script, nothing from elsewhere. */
import type { AdminState, AdminSummary, ExportState } from './state.ts';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string | number): string {
  return String(text).replace(/[&<>"']/g, (character) => entities[character]!);
}

const style = `
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; padding: 0.4rem 0.8rem 0.4rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
  .live { color: #18794e; } .down, .stuck { color: #cd2b31; font-weight: 600; }
`;

function table(head: readonly string[], rows: readonly string[]): string {
  const names = head.map((name) => `<th>${name}</th>`).join('');
  return `<table>
      <thead><tr>${names}</tr></thead>
      <tbody>${rows.join('')}
      </tbody>
    </table>`;
}

const row = (...cells: (string | number)[]) =>
  `\n        <tr>${cells.map((cell) => `<td>${escape(cell)}</td>`).join('')}</tr>`;

/** What does not answer, and who waits; nothing when all is well. */
function troubles(exports: readonly ExportState[]): string {
  const hung = exports.flatMap(({ name, quarantine }) =>
    quarantine.map(({ path, aspect, strikes, retrySeconds, clients }) =>
      row(name, path, aspect, strikes, `${retrySeconds} s`, clients.join(', ')),
    ),
  );
  const waits = exports.flatMap(({ name, waits: all }) =>
    all.map(({ path, seconds, requests, clients }) =>
      row(name, path || '/', `${seconds} s`, requests, clients.join(', ')),
    ),
  );
  const parts: string[] = [];
  if (hung.length > 0)
    parts.push(
      '<h2>In quarantine</h2>',
      table(['Export', 'Path', 'What', 'Deadlines missed', 'Tried again in', 'Clients that waited'], hung),
    );
  if (waits.length > 0)
    parts.push('<h2>Waiting</h2>', table(['Export', 'For', 'Since', 'Requests', 'Clients'], waits));
  return parts.join('\n    ');
}

const stateCell = (state: string, reason = '') =>
  `<td><span class="${state}">${state}</span>${state === 'live' || reason === '' ? '' : `<br>${escape(reason)}`}</td>`;

/** For those who may see paths and addresses. */
export function renderPage(state: AdminState): string {
  const rows = state.exports.map(
    ({ name, path, state: source, reason, epoch, nodes }) => `
      <tr>
        <td>${escape(name)}</td>
        <td><code>${escape(path)}</code></td>
        ${stateCell(source, reason)}
        <td>${escape(epoch)}</td>
        <td>${escape(nodes)}</td>
      </tr>`,
  );
  const exports = table(['Export', 'Path', 'Source', 'Mounts seen', 'Objects known'], rows);
  return page(state.ready, `${exports}\n    ${troubles(state.exports)}`);
}

/** For everybody else: numbers only. */
export function renderSummary(state: AdminSummary): string {
  const rows = state.exports.map(
    ({ name, state: source, epoch, nodes, quarantined, waiting }) => `
      <tr>
        <td>${escape(name)}</td>
        ${stateCell(source)}
        ${[epoch, nodes, quarantined, waiting].map((count) => `<td>${escape(count)}</td>`).join('')}
      </tr>`,
  );
  const head = ['Export', 'Source', 'Mounts seen', 'Objects known', 'In quarantine', 'Requests waiting'];
  return page(state.ready, table(head, rows));
}

function page(ready: boolean, content: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>Holdfast</title>
    <style>${style}</style>
  </head>
  <body>
    <h1>Holdfast</h1>
    <p>${ready ? 'Ready.' : 'Not ready.'}</p>
    ${content}
    <p><a href="/metrics">metrics</a> · <a href="/readyz">readyz</a> · <a href="/livez">livez</a></p>
  </body>
</html>
`;
}

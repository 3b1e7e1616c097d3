/** The page that a person sees at `/`. Plain HTML, no script, nothing from elsewhere. */
import type { AdminState } from './state.ts';

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

export function renderPage(state: AdminState): string {
  const rows = state.exports.map(
    ({ name, path, state: source, reason, epoch, nodes }) => `
      <tr>
        <td>${escape(name)}</td>
        <td><code>${escape(path)}</code></td>
        <td><span class="${source}">${source}</span>${source === 'live' ? '' : `<br>${escape(reason)}`}</td>
        <td>${escape(epoch)}</td>
        <td>${escape(nodes)}</td>
      </tr>`,
  );
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
    <p>${state.ready ? 'Ready.' : 'Not ready.'}</p>
    <table>
      <thead><tr><th>Export</th><th>Path</th><th>Source</th><th>Mounts seen</th><th>Objects known</th></tr></thead>
      <tbody>${rows.join('')}
      </tbody>
    </table>
    <p><a href="/metrics">metrics</a> · <a href="/readyz">readyz</a> · <a href="/livez">livez</a></p>
  </body>
</html>
`;
}

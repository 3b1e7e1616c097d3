/** The page at `/`: static HTML and CSS, which the browser's code (src/page) fills. The HTML never contains text from a source. */

export const pageHtml = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Holdfast</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/assets/uplot.css">
    <link rel="stylesheet" href="/assets/page.css">
    <script src="/assets/uplot.js" defer></script>
    <script src="/assets/page/app.js" type="module"></script>
  </head>
  <body>
    <a class="skip" href="#main">Skip to the content</a>
    <header>
      <h1>Holdfast</h1>
      <p id="about"></p>
      <p id="link" role="status"></p>
    </header>
    <main id="main" tabindex="-1">
      <noscript><p>This page needs JavaScript. The same: <code>holdfast status</code>, <a href="/readyz">readyz</a>.</p></noscript>
      <div id="notice" role="alert"></div>
      <form id="login" hidden>
        <label for="token">Token of the admin port</label>
        <input id="token" type="password" autocomplete="current-password" required>
        <button type="submit">Show names, allow changes</button>
        <p id="login-error" role="alert"></p>
      </form>
      <section aria-labelledby="exports-title"><h2 id="exports-title">Exports</h2><div id="exports"></div></section>
      <section id="mounts-section" aria-labelledby="mounts-title" hidden><h2 id="mounts-title">Mounts</h2><div id="mounts"></div></section>
      <section id="waits-section" aria-labelledby="waits-title" hidden><h2 id="waits-title">Who waits</h2><div id="waits"></div></section>
      <section id="quarantine-section" aria-labelledby="quarantine-title" hidden><h2 id="quarantine-title">In quarantine</h2><div id="quarantine"></div></section>
      <section id="plots-section" aria-labelledby="plots-title" hidden>
        <h2 id="plots-title">The last fifteen minutes</h2>
        <div class="plots">
          <figure><figcaption>To clients, MB/s</figcaption><div id="plot-throughput" class="plot"></div></figure>
          <figure><figcaption>Time of a READ, ms</figcaption><div id="plot-latency" class="plot"></div></figure>
          <figure><figcaption>Requests that wait</figcaption><div id="plot-waiting" class="plot"></div></figure>
        </div>
      </section>
      <section id="streams-section" aria-labelledby="streams-title" hidden><h2 id="streams-title">Streams now</h2><div id="streams"></div></section>
      <section id="clients-section" aria-labelledby="clients-title" hidden><h2 id="clients-title">Clients</h2><div id="sessions"></div><div id="nfs-clients"></div></section>
      <section id="history-section" aria-labelledby="history-title" hidden><h2 id="history-title">History of the sources</h2><div id="history"></div></section>
    </main>
    <footer><a href="/metrics">metrics</a> · <a href="/readyz">readyz</a> · <a href="/livez">livez</a> · <a href="/api/status">status as JSON</a></footer>
  </body>
</html>
`;

export const pageStyle = `:root {
  color-scheme: light dark;
  --ink: #1c2024; --faint: #60646c; --line: #d9d9e0; --ground: #fcfcfd; --card: #fff; --accent: #0b68cb;
  --good: #18794e; --bad: #c62a2f; --warn: #ad5700;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #edeef0; --faint: #b0b4ba; --line: #363a3f; --ground: #111113; --card: #18191b; --accent: #70b8ff;
    --good: #3dd68c; --bad: #ff9592; --warn: #ffa057;
  }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; color: var(--ink); background: var(--ground); }
header, main, footer { max-width: 80rem; margin: 0 auto; padding: 0 1rem; }
header { display: flex; flex-wrap: wrap; gap: 0 1.5rem; align-items: baseline; padding-top: 1rem; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 0.5rem; }
header p { margin: 0; color: var(--faint); }
#link.lost { color: var(--bad); font-weight: 600; }
footer { padding: 2rem 1rem; color: var(--faint); }
a { color: var(--accent); }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 0.5rem; background: var(--card); padding: 0.5rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
main:focus { outline: none; }
#notice:not(:empty) { margin-top: 1rem; padding: 0.75rem 1rem; border-left: 4px solid var(--bad); background: var(--card); }
#login { margin-top: 1rem; display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; }
#login[hidden] { display: none; }
#login-error { margin: 0; color: var(--bad); }
input, button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--faint); border-radius: 0.4rem; padding: 0.3rem 0.7rem; min-height: 2.25rem; }
button { cursor: pointer; white-space: nowrap; }
button:disabled { opacity: 0.5; cursor: default; }
.rows { border-collapse: collapse; width: 100%; background: var(--card); }
.rows th, .rows td { text-align: left; padding: 0.4rem 0.8rem; border-bottom: 1px solid var(--line); vertical-align: top; }
.rows th { font-weight: 600; color: var(--faint); font-size: 0.85rem; white-space: nowrap; }
.rows td.path { overflow-wrap: anywhere; min-width: 12rem; }
.rows td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
td.live { color: var(--good); font-weight: 600; }
td.live, td.down, td.stuck { white-space: nowrap; }
.down, .stuck { color: var(--bad); font-weight: 600; }
.live::before { content: '\\25cf  '; } .down::before { content: '\\25a0  '; } .stuck::before { content: '\\25b2  '; }
.faint { color: var(--faint); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.5rem; min-width: 0; }
figcaption { color: var(--faint); font-size: 0.85rem; }
.plot { min-height: 190px; }
.u-legend { font-size: 0.8rem; }
@media (max-width: 44rem) {
  .rows thead { position: absolute; left: -999rem; }
  .rows, .rows tbody, .rows tr, .rows td { display: block; width: 100%; }
  .rows tr { border: 1px solid var(--line); border-radius: 0.4rem; margin-bottom: 0.75rem; padding: 0.25rem 0; }
  .rows td { border: none; padding: 0.15rem 0.8rem; display: grid; grid-template-columns: 8rem 1fr; overflow-wrap: anywhere; }
  .rows td::before { content: attr(data-label); color: var(--faint); font-size: 0.85rem; font-weight: 400; }
  .rows td:empty { display: none; }
}
`;

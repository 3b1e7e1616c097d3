/** The files of the page. They are read once, before the server listens; the page loads nothing from elsewhere. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { pageHtml, pageStyle } from './page.ts';

export interface Asset {
  readonly type: string;
  readonly body: string;
}

const script = 'text/javascript; charset=utf-8';
const style = 'text/css; charset=utf-8';

/** The browser's modules: those of src/page, and those that it shares with the program. They import each other by these paths. */
const modules = ['page/app', 'page/dom', 'page/plots', 'page/tables', 'admin/format'] as const;

/** Folder of the compiled modules, relative to dist/app/admin and to src/admin. */
const places = ['../../page/', '../../dist/page/'] as const;

async function compiled(name: string): Promise<string> {
  for (const place of places) {
    try {
      return await readFile(new URL(`${place}${name}.js`, import.meta.url), 'utf8');
    } catch {
      // The other place may have it.
    }
  }
  throw new Error(`the page's ${name}.js is missing: run "npm run build"`);
}

/** The files by URL path. */
export async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  const { resolve } = createRequire(import.meta.url);
  const [plots, plotStyle, ...parts] = await Promise.all([
    readFile(resolve('uplot/dist/uPlot.iife.min.js'), 'utf8'),
    readFile(resolve('uplot/dist/uPlot.min.css'), 'utf8'),
    ...modules.map(compiled),
  ]);
  return new Map<string, Asset>([
    ['/', { type: 'text/html; charset=utf-8', body: pageHtml }],
    ['/assets/page.css', { type: style, body: pageStyle }],
    ['/assets/uplot.css', { type: style, body: plotStyle }],
    ['/assets/uplot.js', { type: script, body: plots }],
    ...modules.map((name, index) => [`/assets/${name}.js`, { type: script, body: parts[index]! }] as const),
  ]);
}

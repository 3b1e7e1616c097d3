/** The files of the page: everything comes from this server, and is read once, before it listens. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { pageHtml, pageStyle } from './page.ts';

export interface Asset {
  readonly type: string;
  readonly body: string;
}

const script = 'text/javascript; charset=utf-8';
const style = 'text/css; charset=utf-8';

/** The browser's own modules, compiled from src/page and what it shares with the program; they name each other by these paths. */
const modules = ['page/app', 'page/dom', 'page/plots', 'page/tables', 'admin/format'] as const;

/** Where the build puts them, seen from dist/app/admin and from src/admin. */
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

/** By path. */
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

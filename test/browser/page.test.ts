/**
 * The status page in Debian's chromium: it must show an outage, offer its actions, and reconnect by itself. SCREENSHOTS=FOLDER
 * saves screenshots.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RawClient } from '../../protocols/smb2/src/testing/raw-client.ts';
import { FuseTree, releasePath } from '../kit/fuse.ts';
import { Gateway } from '../kit/gateway.ts';
import { NfsClient } from '../kit/nfs.ts';

const executablePath = '/usr/bin/chromium';
const token = 'a-token-of-the-test';
const film = releasePath(1, 'video.mkv');
const hanging = releasePath(2, 'video.mkv');
const screenshots = process.env['SCREENSHOTS'];

const cleanUp: (() => unknown)[] = [];
let fuse: FuseTree;
let gateway: Gateway;
let nfs: NfsClient;
let browser: Browser;

/** Starts a gateway. Without a token, loopback may see names and run actions. */
async function serve(admin = ''): Promise<Gateway> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-page-'));
  cleanUp.push(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'holdfast.yaml');
  writeFileSync(join(folder, 'token'), token);
  writeFileSync(
    config,
    `exports: { dfs: { path: ${fuse.mountpoint}, readDeadline: 2 } }
nfs: { listen: "127.0.0.1:0" }
smb: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" ${admin.replace('TOKEN', join(folder, 'token'))} }
`,
  );
  const started = await Gateway.start({
    args: ['serve', '--config', config],
    protocols: ['nfs', 'smb', 'admin'],
  });
  cleanUp.push(() => started.kill());
  return started;
}

beforeAll(async () => {
  if (!existsSync(executablePath))
    throw new Error(`${executablePath} is missing: apt-get install --no-install-recommends chromium`);
  fuse = await FuseTree.start({ releases: 10 });
  cleanUp.push(() => fuse.dispose());
  gateway = await serve();
  nfs = await NfsClient.connect(gateway.port('nfs'));
  cleanUp.push(() => nfs.destroy());
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  cleanUp.push(() => browser.close());
});
afterAll(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

interface Look {
  readonly width?: number;
  readonly colorScheme?: 'dark' | 'light';
  readonly of?: Gateway;
}

/** Opens a page and waits for its first status. Collects the errors on its console. */
async function open({ width = 1280, colorScheme = 'light', of = gateway }: Look = {}) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.goto(`http://127.0.0.1:${of.port('admin')}/`);
  await page.getByRole('table', { name: 'Exports' }).waitFor();
  return { page, complaints };
}

async function keep(page: Page, name: string): Promise<void> {
  if (screenshots === undefined) return;
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`) });
}

/** How many pixels the content is wider than the window. */
const overflow = (page: Page) =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');

it('shows an outage while it lasts, and continues by itself', async () => {
  const { page, complaints } = await open();
  const root = await nfs.mount('/dfs');
  const file = await nfs.walk(root, film);
  const smb = await RawClient.connect(gateway.port('smb'));
  await smb.enter('dfs');
  for (let offset = 0; offset < 20; offset++) await nfs.read(file, offset * 65536, 65536);
  const streams = page.getByRole('table', { name: 'Streams now' });
  await streams.getByText('video.mkv').waitFor();
  await page.getByRole('table', { name: 'NFS clients' }).getByText('127.0.0.1').waitFor();
  await page.getByRole('table', { name: 'SMB sessions' }).getByText('guest').waitFor();
  await page.locator('#plot-throughput canvas').waitFor();
  await keep(page, 'live');

  await fuse.kill();
  const waiting = nfs.read(file, 256 * 65536, 65536);
  const alert = page.getByRole('alert').first();
  await alert.getByText(/dfs has been down for .* 1 request waits for it and will go on/).waitFor();
  await page.getByRole('table', { name: 'Who waits' }).getByText('video.mkv').waitFor();
  expect(await page.title()).toBe('(!) Holdfast');
  await keep(page, 'outage');

  const phone = await open({ width: 390, colorScheme: 'dark' });
  await phone.page.getByRole('alert').first().getByText('dfs has been down').waitFor();
  expect(await overflow(phone.page)).toBe(0);
  expect(await phone.page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe(
    'rgb(17, 17, 19)',
  );
  await keep(phone.page, 'outage-phone-dark');
  await phone.page.close();

  await fuse.mount();
  expect((await waiting).data.length).toBe(65536);
  await alert.waitFor({ state: 'hidden' });
  await page.waitForFunction("document.title === 'Holdfast'");
  await page.getByRole('table', { name: 'History of the sources' }).getByText('down').first().waitFor();
  expect(await overflow(page)).toBe(0);
  expect(complaints).toEqual([]);
  expect(phone.complaints).toEqual([]);
  smb.close();
  await page.close();
});

it('can retry a file in quarantine, with the keyboard only', async () => {
  const { page, complaints } = await open();
  const root = await nfs.mount('/dfs');
  const file = await nfs.walk(root, hanging);
  await fuse.hang(hanging, 'read');
  await expect(nfs.read(file, 0, 4096)).rejects.toThrow();
  const table = page.getByRole('table', { name: 'In quarantine' });
  await table.getByText('video.mkv').waitFor();
  await keep(page, 'quarantine');
  const again = table.getByRole('button', { name: /^Try again: .*video.mkv$/ });
  const focused = () => page.evaluate("document.activeElement?.getAttribute('aria-label') ?? ''");
  for (let presses = 0; presses < 50 && !/^Try again/.test(String(await focused())); presses++)
    await page.keyboard.press('Tab');
  // The update of the table every second must keep the focus.
  const countdown = await table.getByRole('cell').nth(4).textContent();
  await expect.poll(() => table.getByRole('cell').nth(4).textContent()).not.toBe(countdown);
  expect(await focused()).toMatch(/^Try again: .*video.mkv$/);
  await page.keyboard.press('Enter');
  await gateway.whenLogged(({ action, done }) => action === 'retry' && done === true);
  await table.getByText('at the next request').waitFor();
  await fuse.heal();
  await again.waitFor({ state: 'detached' });
  expect((await nfs.read(file, 0, 4096)).data.length).toBe(4096);
  expect(complaints).toEqual([]);
  await page.close();
});

it('ends a session on request', async () => {
  const { page } = await open();
  const smb = await RawClient.connect(gateway.port('smb'));
  await smb.enter('dfs');
  page.on('dialog', (dialog) => void dialog.accept());
  const end = page.getByRole('button', { name: 'End: the session of 127.0.0.1' });
  await end.click();
  await gateway.whenLogged(({ action, done }) => action === 'end-session' && done === true);
  await end.waitFor({ state: 'detached' });
  smb.close();
  await page.close();
});

it('shows only numbers until it has the token', async () => {
  const guarded = await serve(', tokenFile: TOKEN');
  const { page } = await open({ of: guarded });
  expect(await page.content()).not.toContain(fuse.mountpoint);
  await page.getByLabel('Token of the admin port').fill('not the token');
  await page.keyboard.press('Enter');
  await page.getByText('This is not the token.').waitFor();
  await page.getByLabel('Token of the admin port').fill(token);
  await page.keyboard.press('Enter');
  await page.getByText(fuse.mountpoint).first().waitFor();
  await page.reload();
  await page.getByText(fuse.mountpoint).first().waitFor();
  await page.close();
});

it('reports that the gateway is away, and reconnects to it', async () => {
  const stopped = await serve();
  const { page } = await open({ of: stopped });
  await stopped.stop();
  await page.getByText('The gateway does not answer.').waitFor();
  await page.close();
});

it('says that too many pages are open, and goes on when one is closed', async () => {
  const crowded = await serve();
  const leave = new AbortController();
  const url = `http://127.0.0.1:${crowded.port('admin')}`;
  for (let i = 0; i < 8; i++) await fetch(`${url}/api/events`, { signal: leave.signal });
  const page = await browser.newPage();
  await page.goto(`${url}/`);
  await page.getByText('Too many pages of this gateway are open').waitFor();
  leave.abort();
  await page.getByRole('table', { name: 'Exports' }).waitFor();
  await page.close();
});

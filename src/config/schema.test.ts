import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { referenceText } from './reference.ts';
import { jsonSchema, settingsSchema } from './schema.ts';

const deploy = new URL('../../deploy/', import.meta.url);

it.each([
  ['config.schema.json', () => `${JSON.stringify(jsonSchema(), null, 2)}\n`],
  ['CONFIGURATION.md', referenceText],
])('is what deploy/%s says', (name, make) => {
  const file = new URL(name, deploy);
  const text = make();
  if (process.env.UPDATE_SCHEMA === '1') writeFileSync(file, text);
  expect(
    readFileSync(file, 'utf8') === text,
    'out of date: run "UPDATE_SCHEMA=1 npx vitest run --project unit src/config/schema.test.ts" and commit the file',
  ).toBe(true);
});

it.each(readdirSync(deploy).filter((name) => /^config\..*\.yaml$/.test(name)))(
  'accepts deploy/%s',
  (name) => {
    const raw: unknown = parse(readFileSync(fileURLToPath(new URL(name, deploy)), 'utf8'));
    expect(settingsSchema.safeParse(raw).error).toBeUndefined();
  },
);

it('has the defaults that deploy/config.example.yaml shows', () => {
  const example: unknown = parse(readFileSync(new URL('config.example.yaml', deploy), 'utf8'));
  const { exports, ...rest } = settingsSchema.parse({ exports: { dfs: { path: '/mnt/dfs' } } });
  const settings = settingsSchema.parse(example);
  expect(settings).toMatchObject(rest);
  expect(settings.exports.dfs).toMatchObject({ ...exports.dfs!, smb: { guest: true } });
});

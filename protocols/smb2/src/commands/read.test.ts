import { afterEach, expect, it } from 'vitest';
import { MemoryShare } from '../memory/memory-share.ts';
import { openPath, TestKit } from '../testing/kit.ts';
import { readBody } from '../testing/raw-client.ts';
import { Command } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';

const kit = new TestKit();
afterEach(() => kit.end());

it('a large READ has as many pieces in flight as the backend serves at once, and puts them together in order', async () => {
  const waiting: (() => void)[] = [];
  let most = 0;
  let total = 0;
  const share = new MemoryShare({
    readOnly: true,
    delay: (operation) => {
      if (operation !== 'read') return undefined;
      total++;
      return new Promise<void>((resolve) => {
        // Answer the latest request first.
        waiting.unshift(resolve);
        most = Math.max(most, waiting.length);
        if (waiting.length === 3 || total === 5) for (const release of waiting.splice(0)) release();
      });
    },
  });
  Object.assign(share, { readsAtOnce: 3 });
  const content = Buffer.from(Array.from({ length: 4500 }, (_, index) => index % 251));
  share.putFile('film.mkv', content);
  await kit.serve(share, { limits: { readSlice: 1000 } });
  const client = await kit.guest();
  const reply = await client.request(Command.READ, readBody(await openPath(client, 'film.mkv'), 5000));
  expect(reply?.status).toBe(Status.SUCCESS);
  expect(reply!.packet.subarray(80).equals(content)).toBe(true);
  expect(most).toBe(3);
});

it('the buffer of a READ behind the end is given back once', async () => {
  const share = new MemoryShare({ readOnly: true });
  const letters = ['a', 'b', 'c', 'd'];
  share.putFile('empty', '');
  for (const letter of letters) share.putFile(letter, letter.repeat(10_000));
  await kit.serve(share);
  const client = await kit.guest();
  const empty = await openPath(client, 'empty');
  for (let index = 0; index < 3; index++)
    expect(await client.request(Command.READ, readBody(empty, 100))).toMatchObject({
      status: Status.END_OF_FILE,
    });
  // Replies that share one buffer would have the same content.
  const ids = await Promise.all(letters.map((letter) => openPath(client, letter)));
  const frames = ids.map((id) => client.framed(client.message(Command.READ, readBody(id, 10_000))));
  client.sendRaw(Buffer.concat(frames));
  for (const letter of letters)
    expect((await client.next())?.packet.toString('latin1', 80)).toBe(letter.repeat(10_000));
});

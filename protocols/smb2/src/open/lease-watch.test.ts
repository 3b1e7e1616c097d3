import { afterEach, beforeEach, expect, it } from 'vitest';
import { MemoryShare } from '../memory/memory-share.ts';
import { openPath, TestKit } from '../testing/kit.ts';
import type { RawClient } from '../testing/raw-client.ts';
import { Command, HEADER_SIZE, LeaseState } from '../wire/constants.ts';
import { leaseV2, LeaseFlags } from '../wire/create-contexts.ts';
import type { FileId } from '../wire/file-id.ts';
import { closeRequest } from '../wire/create.ts';
import { writeRequest } from '../wire/io.ts';
import { Status } from '../wire/status.ts';

const kit = new TestKit();
const directoryKey = Buffer.alloc(16, 3);
const READ_WRITE = 0x0012019f;
let holder: RawClient;
let other: RawClient;

/** A lease request with its own key, for an object in a directory whose lease has `parentKey`. */
function lease(key: Buffer, parentKey?: Buffer): { name: string; data: Buffer } {
  const data = leaseV2.toBuffer({
    key,
    state: LeaseState.READ | LeaseState.HANDLE,
    flags: parentKey ? LeaseFlags.PARENT_LEASE_KEY_SET : 0,
    duration: 0n,
    parentKey: parentKey ?? Buffer.alloc(16),
    epoch: 0,
  });
  return { name: 'RqLs', data };
}

/** Whether the holder gets a break before the reply to an ECHO. */
async function isBroken(): Promise<boolean> {
  const first = await holder.request(Command.ECHO, Buffer.from([4, 0, 0, 0]));
  if (first?.command !== Command.OPLOCK_BREAK) return false;
  await holder.next();
  return true;
}

const create = (path: string, parentKey: Buffer): Promise<FileId> =>
  openPath(other, path, [lease(Buffer.from(path.padEnd(16)), parentKey)], {
    desiredAccess: READ_WRITE,
    disposition: 3,
  });

const writeBody = (fileId: FileId, data: Buffer): Buffer =>
  writeRequest.toBuffer(
    {
      dataOffset: HEADER_SIZE + writeRequest.size,
      length: data.length,
      offset: 0,
      fileId,
      channel: 0,
      remainingBytes: 0,
      channelInfoOffset: 0,
      channelInfoLength: 0,
      flags: 0,
    },
    data,
  );

beforeEach(async () => {
  const share = new MemoryShare();
  share.makeDirectories('folder');
  await kit.serve(share);
  holder = await kit.guest();
  other = await kit.guest();
  await openPath(holder, 'folder', [lease(directoryKey)], { desiredAccess: 0x81 });
});
afterEach(() => kit.end());

it('a directory lease outlives what its own client does in there', async () => {
  await create('folder\\mine', directoryKey);
  expect(await isBroken()).toBe(false);
  await create('folder\\theirs', Buffer.alloc(16, 9));
  expect(await isBroken()).toBe(true);
});

it('what is written to a file ends the lease on its directory when the file is closed', async () => {
  await create('folder\\plain', directoryKey);
  const foreign = await openPath(other, 'folder\\plain', [], { desiredAccess: READ_WRITE });
  const written = await other.request(Command.WRITE, writeBody(foreign, Buffer.from('news')));
  expect(written?.status).toBe(Status.SUCCESS);
  expect(await isBroken()).toBe(false);
  await other.request(Command.CLOSE, closeRequest.toBuffer({ flags: 0, fileId: foreign }));
  expect(await isBroken()).toBe(true);
});

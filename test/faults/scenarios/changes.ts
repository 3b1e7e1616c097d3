/** The tree changes without a notification, or only claims to. */
import { contentDigest, contentSeed, MIB, releaseName, releasePath } from '../../kit/fuse.ts';
import { mistakesGrowth } from '../../kit/kernels.ts';
import { video, type Lab } from '../lab.ts';
import type { Protocol } from '../server.ts';
import { unharmed, type Scenario, type Stage } from '../scenario.ts';
import { last } from '../time.ts';

const path = releasePath(3, video.name);

/** Ms. Some servers refresh a folder only every two minutes. */
const patience = 180_000;

const inSeconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** Returns the ms until the shell command `condition` succeeds in the guest. `what` is for the error message. */
async function seenAfter(lab: Lab, what: string, condition: string): Promise<number> {
  const begun = performance.now();
  const script = `until { ${condition}; }; do sleep 0.1; done`;
  await lab.client.output(script, patience).catch((cause: unknown) => {
    throw new Error(`${what}: not seen within ${inSeconds(patience)}`, { cause });
  });
  return performance.now() - begun;
}

async function replacedWhileOpen({ lab, note }: Stage): Promise<void> {
  const other = contentSeed(path, 1);
  const size = video.size + 5 * MIB;
  const reader = lab.read(path, { other, rate: 4 * MIB, mark: 'middle', at: 8 * MIB });
  await reader.marked('middle');
  await lab.fuse.replace(path, { size, version: 1 });
  const file = `${lab.mountpoint}${path}`;
  const tookMs = await seenAfter(lab, 'the new file', `[ "$(stat -c %s ${file})" = ${size} ]`);
  const fresh = await lab.read(path, { seed: other, size }).done();
  const old = await reader.done();
  unharmed(fresh, old);
  const changed = Math.round((old.otherPages * 4096) / MIB);
  note(`a fresh open had the new file after ${inSeconds(tookMs)}`);
  note(
    changed === 0
      ? 'the open one went on as it was'
      : `the open one went on, ${changed} MiB of it the new one's`,
  );
  if (tookMs > 30_000) throw new Error('the new file was seen later than after 30 s');
}

/** Mount options with short attribute caching. */
const restless: Readonly<Record<Protocol, string>> = {
  nfs: 'hard,actimeo=1',
  smb: 'guest,username=guest,hard,vers=3.1.1,actimeo=1',
};

/** The file's mtime is "now" at every look. At the end the file really has changed. */
async function clock({ lab, note }: Stage): Promise<void> {
  const digest = async () => (await lab.client.output(`sha256sum < ${lab.mountpoint}${path}`)).split(' ')[0]!;
  const before = contentDigest(contentSeed(path), video.size);
  if ((await digest()) !== before) throw new Error('wrong bytes');
  // cifs drops a file's cached pages at the last close, so keep the file open.
  const holder = lab.client.spawn(`exec 3< ${lab.mountpoint}${path}; mark held; await_flag released`);
  await holder.marked('held');
  if ((await digest()) !== before) throw new Error('wrong bytes');
  const sent = await lab.readsSent();
  for (let pass = 0; pass < 5; pass++) {
    await last(1_500);
    if ((await digest()) !== before) throw new Error('wrong bytes');
  }
  const again = (await lab.readsSent()) - sent;
  note(`${again} more READs in five more passes over a cached file`);
  lab.client.flag('released');
  const size = video.size + MIB;
  await lab.fuse.replace(path, { size, version: 1 });
  const begun = performance.now();
  const after = contentDigest(contentSeed(path, 1), size);
  while ((await digest()) !== after) {
    if (performance.now() - begun > 20_000) throw new Error('the real change was not seen within 20 s');
  }
  note(`a real change was seen after ${inSeconds(performance.now() - begun)}`);
  if (again > 0) throw new Error(`${again} READs for what the client already had`);
}

/** Ms until a change in the folder must be visible: acdirmax and the gateway's refresh (NFS), or a notification (SMB). */
const seenWithin: Readonly<Record<Protocol, number>> = { nfs: 7_000, smb: 2_500 };

async function comesAndGoes({ lab, protocol, note }: Stage): Promise<void> {
  const folder = `${lab.mountpoint}/__all__`;
  const listed = (what: string, condition: string) =>
    seenAfter(lab, what, `ls ${folder} > /tmp/now; ${condition}`);
  await lab.client.output(`ls ${folder}`);
  const added = releasePath(77, video.name);
  await lab.fuse.add({ type: 'file', path: added, size: MIB });
  const came = await listed('added', `grep -q ${releaseName(77)} /tmp/now`);
  note(`added: seen after ${inSeconds(came)}`);
  unharmed(await lab.read(added, { size: MIB }).done());
  await lab.fuse.remove(releasePath(5));
  const went = await listed('removed', `! grep -q ${releaseName(5)} /tmp/now`);
  note(`removed: seen after ${inSeconds(went)}`);
  if (Math.max(came, went) > seenWithin[protocol]) throw new Error(`later than ${seenWithin[protocol]} ms`);
}

/** Errors for a reader of a removed file: a stale handle, or a closed file. */
const goneFor: Readonly<Record<Protocol, readonly string[]>> = { nfs: ['ESTALE'], smb: ['EBADF', 'ENOENT'] };

/** The source is absent, and returns with one file replaced, one release removed and another one added. */
async function backWithChanges({ lab, protocol, kernel, note }: Stage): Promise<void> {
  const wait = 'back';
  const halfway = { mark: 'middle', at: 8 * MIB, rate: 8 * MIB };
  const lost = releasePath(4, video.name);
  const other = contentSeed(path, 1);
  const size = video.size + 5 * MIB;
  const reader = lab.read(path, { other, ...halfway, wait });
  const loser = lab.read(lost, { ...halfway, wait });
  const bystander = lab.play(6, halfway);
  await Promise.all([reader, loser, bystander].map((one) => one.marked('middle')));
  await lab.client.output(`ls ${lab.mountpoint}/__all__`);

  await lab.fuse.kill();
  await lab.fuse.replace(path, { size, version: 1 });
  await lab.fuse.remove(releasePath(4));
  await lab.fuse.add({ type: 'file', path: releasePath(77, video.name), size: MIB });
  await lab.fuse.mount();

  const listing = `ls ${lab.mountpoint}/__all__ > /tmp/now`;
  const came = `grep -q ${releaseName(77)} /tmp/now && ! grep -q ${releaseName(4)} /tmp/now`;
  const tookMs = await seenAfter(lab, 'what came and went', `${listing}; ${came}`);
  note(`what came and went was seen after ${inSeconds(tookMs)}`);
  if (protocol === 'smb' && mistakesGrowth(kernel)) {
    const file = `${lab.mountpoint}${path}`;
    await seenAfter(lab, 'the new size', `[ "$(stat -c %s ${file})" = ${size} ]`);
    note('the larger file was looked at first, for the cifs of this kernel');
  }
  lab.client.flag(wait);
  unharmed(await bystander.done(), await reader.done());
  unharmed(await lab.read(path, { seed: other, size }).done());
  const { errors } = await loser.done();
  const first = errors[0];
  if (first?.call !== 'read' || !goneFor[protocol].includes(first.error))
    throw new Error(`a reader of what is gone saw ${first ? `${first.call} ${first.error}` : 'no error'}`);
  note(`the reader of what is gone: ${first.error}`);
  if (tookMs > 15_000) throw new Error('what came and went was seen later than after 15 s');
}

export const changes: readonly Scenario[] = [
  { fault: 'a file is replaced while open', run: replacedWhileOpen },
  { fault: 'FUSE daemon killed, and mounted with other files', run: backWithChanges },
  {
    fault: 'mtime follows the clock; then a real change',
    lab: { mountOptions: restless, tree: { nowPaths: [path], latency: {} } },
    run: clock,
  },
  { fault: 'a release is added, another removed', slice: 'every kernel', run: comesAndGoes },
];

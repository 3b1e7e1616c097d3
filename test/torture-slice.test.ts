import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';

/** Quick tests from many groups; `npm run test:torture` runs the whole list. */
const SLICE = [
  'smb2.acls.INHERITANCE.INHERITANCE',
  'smb2.compound.related4.related4',
  'smb2.compound_find.compound_find_related.compound_find_related',
  'smb2.connect.connect',
  'smb2.create.delete.delete',
  'smb2.credits.single_req_credits_granted.single_req_credits_granted',
  'smb2.delete-on-close-perms.CREATE.CREATE',
  'smb2.deny.deny1.deny1',
  'smb2.dir.find.find',
  'smb2.durable-open.reopen2.reopen2',
  'smb2.durable-v2-open.reopen2-lease-v2.reopen2-lease-v2',
  'smb2.fileid.fileid.fileid',
  'smb2.getinfo.complex.complex',
  'smb2.ioctl.copy_chunk_simple.copy_chunk_simple',
  'smb2.lease.upgrade3.upgrade3',
  'smb2.lock.range.range',
  'smb2.mkdir.mkdir',
  'smb2.multichannel.generic.interface_info.interface_info',
  'smb2.multichannel.generic.num_channels.num_channels',
  'smb2.notify.double.double',
  'smb2.oplock.exclusive3.exclusive3',
  'smb2.read.eof.eof',
  'smb2.rename.simple.simple',
  'smb2.rw.rw1.rw1',
  'smb2.replay.replay5.replay5',
  'smb2.session.bind1.bind1',
  'smb2.session.bind2.bind2',
  'smb2.session.bind_different_user.bind_different_user',
  'smb2.session.bind_invalid_auth.bind_invalid_auth',
  'smb2.session.bind_negative_smb2to3s.bind_negative_smb2to3s',
  'smb2.session.bind_negative_smb3encGtoCs.bind_negative_smb3encGtoCs',
  'smb2.session.bind_negative_smb3signCtoGs.bind_negative_smb3signCtoGs',
  'smb2.session.encryption-aes-256-gcm.encryption-aes-256-gcm',
  'smb2.session.reauth2.reauth2',
  'smb2.session.signing-aes-128-gmac.signing-aes-128-gmac',
  'smb2.sharemode.sharemode-access.sharemode-access',
  'smb2.streams.io.io',
  'smb2.tcon.tcon',
  'smb2.winattr.winattr',
];

interface Result {
  readonly name: string;
  readonly status: string;
  readonly reason: string;
}

let results: Map<string, Result>;

beforeAll(async () => {
  const runner = fileURLToPath(new URL('torture/run.mjs', import.meta.url));
  // If a test fails, the runner prints the results and exits with 1. Without results, stderr says what is missing.
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
    const args = [runner, '--json', '--timeout', '30', ...SLICE];
    execFile(process.execPath, args, (_error, out, err) => resolve({ stdout: out, stderr: err }));
  });
  if (stdout === '') throw new Error(stderr);
  results = new Map((JSON.parse(stdout) as Result[]).map((result) => [result.name, result]));
});

describe('smbtorture against the in-memory backend', () => {
  it.each(SLICE)('%s', (name) => {
    expect(results.get(name)).toMatchObject({ status: 'pass', reason: '' });
  });
});

import { privateRanges, type ClientRule, type ExportConfig } from '../config/index.ts';

function whom(rule: ClientRule): string {
  if (rule.ranges.join() === privateRanges.join()) return 'loopback and private addresses';
  return rule.toString();
}

/** One line that says who can read an export by the protocols that are served. */
export function audience({ name, path, nfs, smb }: ExportConfig, protocols: ReadonlySet<string>): string {
  const ways: string[] = [];
  if (protocols.has('nfs')) {
    const squash = {
      none: '',
      root: `, root as ${nfs.uid}:${nfs.gid}`,
      all: `, all as ${nfs.uid}:${nfs.gid}`,
    };
    ways.push(`NFS: ${whom(nfs.clients)}${squash[nfs.squash]}`);
  }
  if (protocols.has('smb')) {
    const guests = `anybody without a password, as ${smb.uid}:${smb.gid},`;
    const users = smb.users.map(({ name, uid, gid }) => `${name} as ${uid}:${gid}`).join(', ');
    ways.push(`SMB: ${smb.guest ? guests : users} from ${whom(smb.clients)}`);
  }
  return `${name} (${path}) can be read, not changed, by ${ways.join('; ')}`;
}

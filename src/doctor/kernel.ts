/** Checks for known faults of the kernel's NFS and SMB clients. */
import { isAtLeast, kernelVersion } from '../kernel-version.ts';
import { ok, warning, type Finding } from './finding.ts';

export function kernelFindings(release: string | undefined, usesCifs: boolean): Finding[] {
  const version = kernelVersion(release);
  if (!version)
    return [
      warning('the version of the kernel is unknown', 'its known faults cannot be checked', 'uname -r'),
    ];
  const findings = [ok(`kernel ${release!.trim()}`)];
  if (!usesCifs) return findings;
  const [major, minor] = version;
  if (isAtLeast(version, [6, 10]) && !isAtLeast(version, [6, 19]))
    findings.push(
      warning(
        `cifs of kernel ${major}.${minor} fails the reads in flight when its connection drops, even with hard`,
        'a killed gateway or a lost node can cause an error in a player; a planned stop hardly ever does',
        'use NFS for long streams, or a kernel with the fix of early 2026',
      ),
    );
  if (!isAtLeast(version, [6, 8]))
    findings.push(
      warning(
        `cifs of kernel ${major}.${minor} fails the rest of a listing that is in progress when its connection ends`,
        'a scan during a restart of the gateway may get an error in the middle of a folder',
        'use NFS for scans, or Linux 6.8 or newer',
      ),
    );
  return findings;
}

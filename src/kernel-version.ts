/** Versions of the Linux kernel, as `uname -r` prints them. */

export type KernelVersion = readonly [major: number, minor: number];

/** Major and minor version, such as 6 and 8; undefined if `release` does not begin with them. */
export function kernelVersion(release: string | undefined): KernelVersion | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release ?? '') ?? [];
  return major === undefined || minor === undefined ? undefined : [Number(major), Number(minor)];
}

export function isAtLeast([major, minor]: KernelVersion, wanted: KernelVersion): boolean {
  return major > wanted[0] || (major === wanted[0] && minor >= wanted[1]);
}

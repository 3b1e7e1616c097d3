/** The lines with which a Linux client mounts an export. */
import { networkInterfaces } from 'node:os';
import { nfsOptions, shellWord, smbOptions, tableField } from '../mounter/options.ts';

export interface MountTarget {
  /** Export name. */
  readonly name: string;
  /** Name or address of the gateway, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Where the client mounts it. */
  readonly mountpoint: string;
}

export interface MountLines {
  readonly command: string;
  readonly fstab: string;
  /** Kubernetes PersistentVolume, YAML. */
  readonly volume: string;
}

export function nfsLines({ name, host, port, mountpoint }: MountTarget): MountLines {
  const source = `${host.includes(':') ? `[${host}]` : host}:/${name}`;
  const options = nfsOptions(port);
  return {
    command: `mount -t nfs -o ${options.join(',')} ${source} ${shellWord(mountpoint)}`,
    fstab: `${source} ${tableField(mountpoint)} nfs ${options.join(',')},_netdev,nofail 0 0`,
    volume: volume(`${name}-nfs`, options, [`nfs:`, `  server: ${JSON.stringify(host)}`, `  path: /${name}`]),
  };
}

export function smbLines({ name, host, port, mountpoint }: MountTarget, guest: boolean): MountLines {
  const source = `//${host}/${name}`;
  const options = smbOptions(port);
  const local = [guest ? 'guest' : `credentials=/etc/holdfast/${name}.credentials`, ...options];
  const secret = [
    '  nodeStageSecretRef:',
    `    name: ${kubernetesName(`${name}-smb`)}`,
    '    namespace: default',
  ];
  return {
    command: `mount -t cifs -o ${local.join(',')} ${source} ${shellWord(mountpoint)}`,
    fstab: `${source} ${tableField(mountpoint)} cifs ${local.join(',')},_netdev,nofail 0 0`,
    volume: volume(`${name}-smb`, guest ? ['guest', ...options] : options, [
      'csi:',
      '  driver: smb.csi.k8s.io',
      `  volumeHandle: ${JSON.stringify(`${host}:${port}/${name}`)}`,
      '  volumeAttributes:',
      `    source: ${JSON.stringify(source)}`,
      ...(guest ? [] : secret),
    ]),
  };
}

function volume(name: string, options: readonly string[], access: readonly string[]): string {
  return [
    'apiVersion: v1',
    'kind: PersistentVolume',
    'metadata:',
    `  name: ${kubernetesName(name)}`,
    'spec:',
    '  capacity:',
    '    storage: 1Pi',
    '  accessModes: [ReadOnlyMany]',
    '  persistentVolumeReclaimPolicy: Retain',
    '  storageClassName: ""',
    '  mountOptions:',
    ...options.map((option) => `    - ${option}`),
    ...access.map((line) => `  ${line}`),
  ].join('\n');
}

/** Lower case, without underscores and without a dot beside a dash. */
function kubernetesName(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, '-');
}

/** An address under which another machine reaches what listens at `host`. */
export function reachableHost(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host;
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}

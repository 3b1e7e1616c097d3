/** What deploy/ offers to others: every port, path, key, flag and metric that it names is one of the program's. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml, parseAllDocuments } from 'yaml';
import { Metrics } from '../src/admin/index.ts';
import { commands } from '../src/cli/commands.ts';
import { nfsLines } from '../src/cli/mount-lines.ts';
import { parse as parseArguments } from '../src/cli/parse.ts';
import { environmentSettings, loadConfig } from '../src/config/index.ts';
import { metricNames, mounterPages } from '../src/mounter/index.ts';
import { render, type Manifest } from './kit/kustomize.ts';

const deploy = fileURLToPath(new URL('../deploy/', import.meta.url));
const kubernetes = join(deploy, 'kubernetes');
const secrets = { 'secret.key': 'for the test only\n' };
const tops = ['overlays/w1-w2', 'overlays/single-node', 'gpu-nfs/gateway', 'monitoring'];
/** Paths of the gateway's admin port that say nothing of the source. */
const gatewayPages = ['/livez', '/readyz', '/metrics'];

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly periodSeconds?: number;
  readonly failureThreshold?: number;
}
interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly startupProbe?: Probe;
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly securityContext?: { readonly privileged?: boolean; readonly capabilities?: object };
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly mountPropagation?: string;
  }[];
}
interface PodSpec {
  readonly terminationGracePeriodSeconds?: number;
  readonly hostPID?: boolean;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly {
    readonly name: string;
    readonly hostPath?: { readonly path: string };
    readonly configMap?: { readonly name: string };
    readonly secret?: { readonly secretName: string };
    readonly persistentVolumeClaim?: { readonly claimName: string };
  }[];
}

const rendered = new Map(tops.map((top) => [top, render(join(kubernetes, top), secrets)]));
const all = [...rendered.values()].flat();
const of = (kind: string, name: string, manifests = all) => {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
  if (!found) throw new Error(`no ${kind} ${name}`);
  return found;
};
const podOf = (manifest: Manifest) => {
  const { template } = manifest['spec'] as { template?: { metadata: Manifest['metadata']; spec: PodSpec } };
  return template;
};
const pods = (manifests: readonly Manifest[]) =>
  manifests
    .filter(({ kind }) => ['StatefulSet', 'DaemonSet', 'Deployment'].includes(kind))
    .map((manifest) => ({ name: manifest.metadata.name, ...podOf(manifest)! }));
const ours = (container: Container) => /^(?:decypharr-)?holdfast:/.test(container.image);

/** What the program makes of a command line. */
function invocationOf(args: readonly string[]) {
  const command = commands.find(({ name }) => name === args[0]);
  if (!command) throw new Error(`no command ${args[0]!}`);
  return { command, invocation: parseArguments(command, args.slice(1)) };
}

/** Values as they are, and which of their fields somebody has read. */
function watched<T extends object>(value: T, path: string, read: Set<string>): T {
  return new Proxy(value, {
    get: (target, key, receiver) => {
      const found: unknown = Reflect.get(target, key, receiver);
      if (typeof key !== 'string') return found;
      const place = `${path}/${key}`;
      if (Object.hasOwn(target, key)) read.add(place);
      return typeof found === 'object' && found !== null ? watched(found, place, read) : found;
    },
  });
}

const leaves = (value: unknown, path = ''): string[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => [`${path}/${key}`, ...leaves(inner, `${path}/${key}`)])
    : [];

/** The model of a kind: kubernetes-models has a module for each group and version. */
function modelOf({ apiVersion, kind }: Manifest) {
  const load = createRequire(import.meta.url);
  const home = apiVersion.startsWith('monitoring.coreos.com/')
    ? '@kubernetes-models/prometheus-operator'
    : 'kubernetes-models';
  type Model = new (data: object) => { validate(): void };
  return (load(`${home}/${apiVersion}`) as Record<string, Model>)[kind]!;
}

describe.each(tops)('%s', (top) => {
  const manifests = rendered.get(top)!;

  it('holds to the schemas of Kubernetes, without a field that they do not know', () => {
    for (const manifest of manifests) {
      const read = new Set<string>();
      const inner = Object.fromEntries(
        Object.entries(manifest).map(([key, value]) => [
          key,
          typeof value === 'object' && value !== null ? watched(value, `/${key}`, read) : value,
        ]),
      );
      const where = `${manifest.kind} ${manifest.metadata.name}`;
      expect(() => new (modelOf(manifest))(inner).validate(), where).not.toThrow();
      const unread = leaves(manifest).filter((leaf) => leaf.split('/').length > 2 && !read.has(leaf));
      expect(unread, where).toEqual([]);
    }
  });

  it('names each thing once, and everything in one namespace', () => {
    const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
    for (const { kind, metadata } of manifests)
      if (!['Namespace', 'PersistentVolume'].includes(kind)) expect(metadata.namespace, kind).toBe('media');
  });

  it('refers to what there is', () => {
    for (const { name, metadata, spec } of pods(manifests)) {
      for (const volume of spec.volumes ?? []) {
        if (volume.configMap) of('ConfigMap', volume.configMap.name, manifests);
        if (volume.secret) of('Secret', volume.secret.secretName, manifests);
        const claim = volume.persistentVolumeClaim?.claimName;
        if (claim !== undefined) of('PersistentVolumeClaim', claim, manifests);
      }
      expect(metadata.labels?.['app.kubernetes.io/name'], name).toBe(name);
      for (const container of [...spec.containers, ...(spec.initContainers ?? [])])
        for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe])
          if (probe) expect(container.ports!.map((port) => port.name)).toContain(probe.httpGet.port);
    }
  });

  it('gives the program command lines and settings that it takes', () => {
    for (const { spec, name } of pods(manifests))
      for (const container of spec.containers.filter(ours)) {
        const { invocation } = invocationOf(container.args!);
        const ports = new Map(container.ports!.map((port) => [port.name, port.containerPort]));
        if (container.args![0] === 'mount') {
          expect(invocation.text('admin')).toBe(`0.0.0.0:${ports.get('admin')!}`);
          continue;
        }
        const volume = spec.volumes!.find((one) => one.configMap)!.configMap!.name;
        const { data } = of('ConfigMap', volume, manifests) as unknown as { data: Record<string, string> };
        const config = configOf(data['holdfast.yaml']!);
        expect([config.smb.listen.port, config.nfs.listen.port, config.admin.listen.port], name).toEqual([
          ports.get('smb'),
          ports.get('nfs'),
          ports.get('admin'),
        ]);
        expect(config.admin.listen.host, 'kubelet asks from outside').toBe('0.0.0.0');
        // The ConfigMap and the Secret are where the command line and the configuration look for them.
        const mounts = new Map(container.volumeMounts.map((mount) => [mount.name, mount.mountPath]));
        expect(invocation.text('config')).toBe(`${mounts.get('config')!}/holdfast.yaml`);
        const { secretFile } = parseYaml(data['holdfast.yaml']!) as { secretFile: string };
        const secret = of('Secret', spec.volumes!.find((one) => one.secret)!.secret!.secretName, manifests);
        expect(Object.keys(secret['data'] as object).map((key) => `${mounts.get('secret')!}/${key}`)).toEqual(
          [secretFile],
        );
      }
  });

  it('has probes that ask the program and never the source, and leaves time for the end', () => {
    for (const { spec, name } of pods(manifests))
      for (const container of spec.containers.filter(ours)) {
        const known = container.args![0] === 'mount' ? Object.keys(mounterPages) : gatewayPages;
        expect(container.livenessProbe!.httpGet.path, name).toBe('/livez');
        expect(container.readinessProbe!.httpGet.path, name).toBe('/readyz');
        for (const path of ['/livez', '/readyz']) expect(known).toContain(path);
        const { command, invocation } = invocationOf(container.args!);
        const seconds = (flag: string) =>
          command.flags.some((one) => one.name === flag) ? Number(invocation.text(flag)) : 0;
        const before = Number(container.lifecycle?.preStop.exec.command[1] ?? 0);
        const needed = before + seconds('drain-timeout') + seconds('stop-timeout') + 1;
        expect(spec.terminationGracePeriodSeconds, name).toBeGreaterThanOrEqual(needed);
      }
  });

  it('leads each Service to ports that its pods have', () => {
    for (const service of manifests.filter(({ kind }) => kind === 'Service')) {
      const { selector, ports } = service['spec'] as {
        selector: Record<string, string>;
        ports: { targetPort: string }[];
      };
      const pod = pods(manifests).find(({ metadata }) =>
        Object.entries(selector).every(([key, value]) => metadata.labels?.[key] === value),
      );
      const names = pod?.spec.containers
        .flatMap((container) => container.ports ?? [])
        .map(({ name }) => name);
      for (const { targetPort } of ports) expect(names, service.metadata.name).toContain(targetPort);
    }
  });
});

/** As the program would read it in the container, whose folders are not on this machine. */
function configOf(text: string) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-manifests-'));
  try {
    const file = join(folder, 'holdfast.yaml');
    writeFileSync(file, text);
    return loadConfig({ flags: { config: file }, env: {}, root: true, elsewhere: true });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('together', () => {
  const cluster = rendered.get('overlays/w1-w2')!;

  it('mount what the gateway serves, with the recommended options', () => {
    const volume = of('PersistentVolume', 'dfs-nfs', cluster)['spec'] as {
      mountOptions: string[];
      nfs: { server: string; path: string };
    };
    const service = of('Service', 'holdfast', cluster)['spec'] as {
      clusterIP: string;
      ports: { name: string; port: number }[];
    };
    const { port } = service.ports.find(({ name }) => name === 'nfs')!;
    expect(volume.nfs).toEqual({ server: service.clusterIP, path: '/dfs' });
    const lines = nfsLines({ name: 'dfs', host: service.clusterIP, port, mountpoint: '/mnt/dfs' });
    expect(parseYaml(lines.volume)).toMatchObject({ spec: { mountOptions: volume.mountOptions } });
    const gateway = of('Service', 'holdfast', rendered.get('gpu-nfs/gateway'))['spec'];
    expect(gateway).toMatchObject({ clusterIP: service.clusterIP });
  });

  it('mount on the node what consumers look for', () => {
    const { spec } = podOf(of('DaemonSet', 'dfs-mounter', cluster))!;
    const [container] = spec.containers as [Container];
    const { invocation } = invocationOf(container.args!);
    const [volume] = container.volumeMounts;
    expect([spec.hostPID, container.securityContext?.privileged, volume?.mountPropagation]).toEqual([
      true,
      true,
      'Bidirectional',
    ]);
    expect(invocation.text('at')).toBe(`${volume!.mountPath}/dfs`);
    expect(spec.volumes![0]!.hostPath!.path).toBe(volume!.mountPath);
    expect(invocation.text('server')).toBe('holdfast.media.svc');

    const sonarr = podOf(of('Deployment', 'sonarr'))!.spec;
    expect(sonarr.containers[0]!.volumeMounts[0]).toMatchObject({
      mountPath: '/mnt',
      mountPropagation: 'HostToContainer',
    });
    expect(sonarr.volumes![0]!.hostPath!.path).toBe(volume!.mountPath);
  });

  it('need no privilege where nothing is mounted', () => {
    const gateway = podOf(of('Deployment', 'holdfast-gateway'))!.spec;
    expect(gateway.containers[0]!.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  it('ask for metrics that there are', async () => {
    const known = new Set([...(await gatewayMetrics()), ...metricNames]);
    const rules = of('PrometheusRule', 'holdfast', cluster)['spec'] as {
      groups: { rules: { alert: string; expr: string }[] }[];
    };
    const dashboard = JSON.parse(
      (of('ConfigMap', 'holdfast-dashboard', cluster)['data'] as Record<string, string>)['holdfast.json']!,
    ) as { panels: { title: string; targets: { expr: string }[] }[] };
    const expressions = [
      ...rules.groups.flatMap((group) => group.rules.map(({ alert, expr }) => [alert, expr] as const)),
      ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
    ];
    for (const [where, expr] of expressions) {
      const names = expr.match(/\b(?:holdfast|process|nodejs)_\w+/g) ?? [];
      expect(names.length, where).toBeGreaterThan(0);
      for (const name of names) expect(known, `${where}: ${name}`).toContain(name);
    }
    const guide = readFileSync(join(deploy, 'README.md'), 'utf8');
    for (const { alert } of rules.groups.flatMap((group) => group.rules))
      expect(guide).toContain(`\`${alert}\``);
  });

  it('are what kubectl makes of them as well, where it is installed', ({ skip }) => {
    const version = kubectl(['version', '--client', '-o', 'json']);
    const kustomize = version === undefined ? undefined : /"kustomizeVersion": "v(\d+)/.exec(version)?.[1];
    // Debian 12's has kustomize 2, which reads no folder as a resource.
    if (!(Number(kustomize) >= 4)) return skip('no kubectl with kustomize 4 or newer');
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-kustomize-'));
    try {
      cpSync(kubernetes, folder, { recursive: true });
      for (const place of ['base', 'gpu-nfs/gateway'])
        writeFileSync(join(folder, place, 'secret.key'), secrets['secret.key']);
      for (const top of tops) {
        const theirs = parseAllDocuments(kubectl(['kustomize', join(folder, top)])!).map(
          (document) => document.toJS() as Manifest,
        );
        const key = ({ kind, metadata }: Manifest) => `${kind} ${metadata.name}`;
        const sorted = (list: readonly Manifest[]) => [...list].sort((a, b) => key(a).localeCompare(key(b)));
        expect(sorted(theirs)).toEqual(sorted(rendered.get(top)!));
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the Dockerfile', () => {
  const text = readFileSync(fileURLToPath(new URL('../Dockerfile', import.meta.url)), 'utf8');
  const [, ...stages] = text.split(/^FROM /m);
  const stage = (name: string) => stages.find((one) => new RegExp(`^\\S+ AS ${name}$`, 'm').test(one))!;

  it.each(['holdfast', 'decypharr-holdfast'])('starts the program in %s as it is', (name) => {
    const list = (instruction: string) =>
      JSON.parse(new RegExp(`^${instruction} (\\[.*\\])$`, 'm').exec(stage(name))![1]!) as string[];
    const [program, main] = list('ENTRYPOINT');
    expect(program).toBe('node');
    expect(stage(name)).toContain(`COPY --from=program /app ${main!.replace('/dist/main.js', '')}`);
    const { command, invocation } = invocationOf(list('CMD'));
    expect(command.name).toBe(name === 'holdfast' ? 'serve' : 'run');
    expect(invocation.positionals).toEqual(['/mnt/dfs']);
    const config = configOf('exports: { dfs: { path: /mnt/dfs } }');
    const ports = [config.smb.listen.port, config.nfs.listen.port, config.admin.listen.port];
    expect(stage(name)).toContain(`EXPOSE ${ports.join(' ')}`);
    expect(stage(name)).toContain(`${config.admin.listen.host}:${config.admin.listen.port}}/livez`);
  });

  it('runs nothing of the target while it builds: it may be another processor', () => {
    const target = stages.filter((one) => !/^(?:--platform=\$BUILDPLATFORM|build) /.test(one));
    expect(target.length).toBe(3);
    for (const one of target) expect(one).not.toMatch(/^RUN /m);
  });
});

describe('without Kubernetes', () => {
  it('the compose file names what the program takes', () => {
    const compose = parseYaml(readFileSync(join(deploy, 'docker-compose.yml'), 'utf8')) as {
      services: Record<
        string,
        {
          command?: string[];
          environment?: Record<string, string>;
          stop_grace_period?: string;
          ports?: string[];
        }
      >;
      volumes: { dfs: { driver_opts: { o: string; device: string } } };
    };
    const { command, environment, stop_grace_period: grace, ports } = compose.services['decypharr']!;
    const { invocation } = invocationOf(command!);
    expect(Number.parseInt(grace!)).toBeGreaterThan(
      Number(invocation.text('drain-timeout')) + Number(invocation.text('stop-timeout')),
    );
    for (const name of Object.keys(environment!).filter((one) => one.startsWith('HOLDFAST_')))
      expect(Object.keys(environmentSettings)).toContain(name);
    expect(ports!.map((port) => port.split(':').at(-1))).toEqual(['445', '2049', '9445', '8282']);
    const { o, device } = compose.volumes.dfs.driver_opts;
    const { volume } = nfsLines({ name: 'dfs', host: '127.0.0.1', port: 2049, mountpoint: '/' });
    const { spec } = parseYaml(volume) as { spec: { mountOptions: string[]; nfs: { path: string } } };
    expect([o, device]).toEqual([`addr=127.0.0.1,${spec.mountOptions.join()}`, `:${spec.nfs.path}`]);
  });

  it.each(['holdfast.service', 'holdfast-mount.service'])('%s starts the program as it is', (file) => {
    const unit = readFileSync(join(deploy, file), 'utf8');
    const line = /^ExecStart=\/usr\/bin\/node \/opt\/holdfast\/dist\/main\.js (.*)$/m.exec(unit)![1]!;
    const { invocation } = invocationOf(line.split(' '));
    const stop = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)![1]);
    expect(stop).toBeGreaterThan(Number(invocation.text('drain-timeout') ?? 20));
    for (const [, name] of unit.matchAll(/^Environment=(HOLDFAST_\w+)=/gm))
      expect(Object.keys(environmentSettings)).toContain(name);
    // The environment would win over the secret that `init` makes and names in the file.
    expect(unit).not.toContain('HOLDFAST_SECRET');
  });

  it('the log lines that operators are told of are in the program', () => {
    const guide = readFileSync(join(deploy, 'README.md'), 'utf8');
    const [, section] = /\n## Log lines\n([^]*?)\n## /.exec(guide)!;
    const cells = [...section!.matchAll(/^\| (`[^|]*?) +\|/gm)].map(([, cell]) => cell!);
    const messages = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!));
    expect(messages.length).toBeGreaterThan(6);
    const source = fileURLToPath(new URL('../src/', import.meta.url));
    const program = readdirSync(source, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => readFileSync(join(source, file), 'utf8'))
      .join('\n');
    for (const message of messages) expect(program).toContain(message);
  });
});

function kubectl(args: readonly string[]): string | undefined {
  try {
    return execFileSync('kubectl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return undefined;
  }
}

/** Every name that the gateway tells, with the suffixes of histograms. */
async function gatewayMetrics(): Promise<string[]> {
  const metrics = new Metrics();
  metrics.addInfo({ version: '1' });
  const text = await metrics.text();
  return [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].flatMap(([, name, type]) =>
    type === 'histogram' ? [`${name!}_bucket`, `${name!}_sum`, `${name!}_count`] : [name!],
  );
}

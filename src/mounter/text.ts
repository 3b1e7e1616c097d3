/** The mounter's metrics for Prometheus. */
import { mountStates, type Mounter } from './mounter.ts';

export interface MountFacts {
  readonly version: string;
  readonly protocol: string;
  readonly server: string;
  readonly at: string;
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** All metrics, in the order of output. */
const metrics: readonly {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly samples: (mounter: Mounter, facts: MountFacts) => readonly Sample[];
}[] = [
  {
    name: 'holdfast_mount_info',
    type: 'gauge',
    help: 'Server, mountpoint and other facts about the mount, as labels.',
    samples: ({ address = '' }, facts) => [[{ ...facts, address }, 1]],
  },
  {
    name: 'holdfast_mount_state',
    type: 'gauge',
    help: 'State of the mount: 1 for the current state, 0 for the others.',
    samples: ({ state }) => mountStates.map((one) => [{ state: one }, one === state ? 1 : 0]),
  },
  {
    name: 'holdfast_mount_state_seconds',
    type: 'gauge',
    help: 'How long the mount has been in its state.',
    samples: ({ seconds }) => [[{}, seconds]],
  },
  {
    name: 'holdfast_mount_probe_seconds',
    type: 'gauge',
    help: 'Duration of the last successful probe of the mount.',
    samples: ({ probeSeconds }) => [[{}, probeSeconds]],
  },
  {
    name: 'holdfast_mount_propagated',
    type: 'gauge',
    help: 'Whether the host sees the mount; absent if unknown.',
    samples: ({ propagated }) => (propagated === undefined ? [] : [[{}, propagated ? 1 : 0]]),
  },
  {
    name: 'holdfast_mount_mounts_total',
    type: 'counter',
    help: 'How many times the share was mounted, by reason: it was absent, the server had moved, or the mount was dead.',
    samples: ({ mounts }) => Object.entries(mounts).map(([reason, count]) => [{ reason }, count]),
  },
  {
    name: 'holdfast_mount_failures_total',
    type: 'counter',
    help: 'Failed attempts to mount.',
    samples: ({ failures }) => [[{}, failures]],
  },
];

export const metricNames: readonly string[] = metrics.map(({ name }) => name);

/** The metrics in the text format of Prometheus. */
export function metricsText(mounter: Mounter, facts: MountFacts): string {
  return metrics
    .map(({ name, type, help, samples }) =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${type}`,
        ...samples(mounter, facts).map(([labels, value]) => `${name}${labelText(labels)} ${value}`),
        '',
      ].join('\n'),
    )
    .join('');
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escape = (value: string) =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

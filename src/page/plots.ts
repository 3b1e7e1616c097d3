/** The plots, by uPlot, which this server delivers as a classic script. */
import type { Sample } from '../admin/status.ts';
import { byId } from './dom.ts';

declare const uPlot: typeof import('uplot');

type Values = (number | null | undefined)[];

interface Line {
  readonly label: string;
  /** Name of a CSS custom property of the page. */
  readonly color: string;
  readonly value: (sample: Sample) => number | undefined;
}

interface PlotSpec {
  readonly id: string;
  readonly lines: readonly Line[];
  /** The y axis reaches at least this value. */
  readonly least: number;
  readonly logarithmic?: boolean;
}

const specs: readonly PlotSpec[] = [
  {
    id: 'plot-throughput',
    least: 1,
    lines: [
      { label: 'NFS', color: '--accent', value: ({ nfsBytes }) => nfsBytes / 1e6 },
      { label: 'SMB', color: '--good', value: ({ smbBytes }) => smbBytes / 1e6 },
    ],
  },
  {
    id: 'plot-latency',
    least: 10,
    lines: [
      { label: 'half are faster', color: '--accent', value: ({ readP50 }) => readP50 },
      { label: '99 % are faster', color: '--warn', value: ({ readP99 }) => readP99 },
    ],
  },
  {
    id: 'plot-waiting',
    least: 5,
    lines: [{ label: 'waiting', color: '--bad', value: ({ waiting }) => waiting }],
  },
];

/** The most samples, as in the gateway (series.ts). */
const most = 450;

export class Plots {
  readonly #samples: Sample[] = [];
  readonly #plots: { readonly spec: PlotSpec; readonly plot: uPlot; readonly place: HTMLElement }[] = [];

  /** Adds those samples that are new. @param samples oldest first. */
  add(samples: readonly Sample[]): void {
    const last = this.#samples.at(-1)?.at ?? 0;
    const fresh = samples.filter(({ at }) => at > last);
    if (fresh.length === 0) return;
    this.#samples.push(...fresh);
    this.#samples.splice(0, this.#samples.length - most);
    this.#draw();
  }

  /** Draws the plots again after the page's colours have changed. */
  restyle(): void {
    for (const { plot } of this.#plots) plot.destroy();
    this.#plots.length = 0;
    this.#draw();
  }

  resize(): void {
    for (const { plot, place } of this.#plots) plot.setSize(sizeOf(place));
  }

  #draw(): void {
    if (this.#samples.length === 0) return;
    if (this.#plots.length === 0)
      for (const spec of specs) {
        const place = byId(spec.id);
        this.#plots.push({ spec, place, plot: new uPlot(options(spec, place), this.#data(spec), place) });
      }
    else for (const { spec, plot } of this.#plots) plot.setData(this.#data(spec));
  }

  #data({ lines }: PlotSpec): [number[], ...Values[]] {
    const times = this.#samples.map(({ at }) => at / 1000);
    return [times, ...lines.map(({ value }) => this.#samples.map((sample) => value(sample) ?? null))];
  }
}

const sizeOf = (place: HTMLElement) => ({ width: Math.max(200, place.clientWidth), height: 150 });

/** In the format of the user's language. */
const timeOfDay = (seconds: number | null) =>
  seconds === null ? '' : new Date(seconds * 1000).toLocaleTimeString();

function options({ lines, least }: PlotSpec, place: HTMLElement): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color('--faint'),
    grid: { stroke: color('--line') },
    ticks: { stroke: color('--line') },
  };
  return {
    ...sizeOf(place),
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, __, max) => [0, Math.max(least, max * 1.1)] } },
    axes: [
      { ...axis, values: (_, seconds) => seconds.map(timeOfDay) },
      { ...axis, size: 55 },
    ],
    series: [
      { label: 'at', value: (_, seconds) => timeOfDay(seconds) },
      ...lines.map(({ label, color: name }) => ({ label, stroke: color(name), width: 2, spanGaps: false })),
    ],
  };
}

export { repeat, timesOf, type Throughput, type Times } from './clock.ts';
export { LocalFolder } from './local.ts';
export { measure, type MeasureOptions, type Report } from './measure.ts';
export { RemoteExport, type RemoteOptions } from './remote.ts';
export type { Entry, Subject } from './subject.ts';

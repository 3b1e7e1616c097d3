export type { Action, Actions, Refusal } from './actions.ts';
export { History } from './history.ts';
export {
  ConnectionMeter,
  Metrics,
  RequestMeter,
  type LaneUse,
  type Protocol,
  type WatchedSource,
} from './metrics.ts';
export { gather } from './model.ts';
export { Series } from './series.ts';
export { startAdmin, type AdminOptions, type AdminServer } from './server.ts';
export type { AdminState, ExportState, MountState, SourceState, TroubleEntry, WaitEntry } from './state.ts';
export type * from './status.ts';
export { Streams, type Stream } from './streams.ts';

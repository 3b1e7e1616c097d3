export {
  ConnectionMeter,
  Metrics,
  RequestMeter,
  type LaneUse,
  type Protocol,
  type SourceState,
  type WatchedSource,
} from './metrics.ts';
export { startAdmin, type AdminOptions, type AdminServer } from './server.ts';
export type { AdminState, ExportState, TroubleEntry, WaitEntry } from './state.ts';

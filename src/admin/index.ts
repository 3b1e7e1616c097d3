export {
  ConnectionMeter,
  Metrics,
  RequestMeter,
  type LaneUse,
  type Protocol,
  type WatchedSource,
} from './metrics.ts';
export { startAdmin, type AdminOptions, type AdminServer } from './server.ts';
export type { AdminState, ExportState, SourceState, TroubleEntry, WaitEntry } from './state.ts';

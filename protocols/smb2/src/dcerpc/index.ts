export { DceRpcError } from './errors.ts';
export type { PipeServer, PipeSession, PipeShare } from './interface.ts';
export { openPipe, type PipeData, type PipeEndpoint } from './pipe.ts';

export { ClientRule, isRange, privateRanges } from './cidr.ts';
export type {
  ChildConfig,
  Config,
  ExportConfig,
  ExportNfs,
  ExportSmb,
  LinkedExport,
  SmbUser,
} from './config.ts';
export { formatEndpoint, parseEndpoint, type Endpoint } from './endpoint.ts';
export { loadConfig, environmentSettings, type ConfigFlags, type ConfigInput } from './load.ts';
export { ConfigError, type Problem } from './problems.ts';
export { exportNameRule, isExportName } from './schema.ts';
export { readSecretFile, UserSecret } from './secret.ts';
export { closest } from './suggest.ts';

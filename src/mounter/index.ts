export { Address } from './address.ts';
export { parseCredentials } from './credentials.ts';
export { mounterPages, serveMounter } from './http.ts';
export { Mounter, mountReasons, mountStates, type MounterOptions, type MountState } from './mounter.ts';
export { isGuard, MountNode } from './node.ts';
export { kernelMount, type MountProtocol, type Share } from './options.ts';
export { metricNames, metricsText, type MountFacts } from './text.ts';

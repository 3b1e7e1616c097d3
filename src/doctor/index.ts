export { clientFindings, type ClientQuestion } from './client.ts';
export type { Finding, Level } from './finding.ts';
export { gatewayFindings, type GatewayQuestion } from './gateway.ts';
export { thisMachine, type Machine } from './machine.ts';

export { takeInheritance, type Inheritance } from './inheritance.ts';
export { Listeners, type InheritedSockets } from './listeners.ts';
export { removePidFile, writePidFile } from './pid-file.ts';
export { startSuccessor, type SuccessorOptions } from './successor.ts';
export { Takeover } from './takeover.ts';

/** Ends the names of temporary files. In two containers that share a folder the program may be process 1 in both. */
import { hostname } from 'node:os';

export const uniqueSuffix = `${hostname()}.${process.pid}`;

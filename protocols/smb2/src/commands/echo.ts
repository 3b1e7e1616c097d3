import { emptyReply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';

/** [MS-SMB2] 3.3.5.17 */
export const echo = (): Reply => emptyReply();

import { emptyReply } from '../session/reply.ts';
import type { Reply } from '../session/reply.ts';

/** [MS-SMB2] 3.3.5.17 */
export const echo = (): Reply => emptyReply();

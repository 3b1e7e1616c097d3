import { emptyReply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';

/** [MS-SMB2] 3.3.5.6: durable opens are kept. */
export function logoff(request: Request): Reply {
  request.session.close(true);
  return emptyReply();
}

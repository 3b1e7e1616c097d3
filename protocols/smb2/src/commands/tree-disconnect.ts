import { emptyReply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';

/** [MS-SMB2] 3.3.5.8 */
export function treeDisconnect(request: Request): Reply {
  request.session.disconnectTree(request.tree);
  return emptyReply();
}

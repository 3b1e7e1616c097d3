/** Which sessions may connect to a share. */
import type { Share } from '../file/share.ts';
import { isUnproven } from '../share/identity.ts';
import { allowsAddress } from '../share/volume.ts';
import { Dialect } from '../wire/constants.ts';
import type { Session } from './session.ts';

/** Whether the share allows the session's user, its encryption, and the addresses of all its connections. */
export function mayConnect(session: Session, { options }: Share): boolean {
  const { identity } = session;
  const isMember =
    options.users === undefined ||
    options.users.some((user) => user.toLowerCase() === identity.userName.toLowerCase());
  const isKnown = isUnproven(identity) ? options.guest : isMember || options.guest;
  const canEncrypt = session.dialect >= Dialect.SMB_3_0 && session.sealer !== undefined;
  if (!isKnown || (options.encrypt === true && !canEncrypt)) return false;
  return session.channels.every(({ connection }) => allowsAddress(options, connection.address));
}

/** Breaks leases and oplocks when directories change, or files outside of the server ([MS-SMB2] 3.3.4.7). */
import { LeaseState } from '../wire/constants.ts';
import type { Open } from './open.ts';

/**
 * A change in a directory ends the leases on it, except that of the client that made the change. When a client changes
 * the content or attributes of a file, this happens when the file is closed, as on Windows. On a read-only share, files
 * change outside of the server, so leases and oplocks on files are watched as well.
 */
export function watchForLeases(open: Open): void {
  const { caching, file, share } = open;
  if (!caching || caching.state === LeaseState.NONE || file.unwatch) return;
  const { backend } = share;
  if (open.isDirectory) {
    file.unwatch = backend.watch(open.node, false, ({ action, node, cause }) => {
      const changed = action === 'modified' && cause && node ? share.files.get(node) : undefined;
      if (changed && changed.opens.size > 0) changed.isNewsToDirectory = true;
      else file.breakDirectoryLeases(cause?.parentLease);
    });
    return;
  }
  const place = backend.parent(open.node);
  if (!share.readOnly || !place) return;
  file.unwatch = backend.watch(place.directory, false, (event) => {
    if (event.node === file.node || event.name === place.name) file.breakReadCaches(undefined);
  });
}

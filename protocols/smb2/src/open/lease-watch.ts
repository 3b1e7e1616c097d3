/** Breaks caches for changes that no client of this server made ([MS-SMB2] 3.3.4.7). */
import { LeaseState } from '../wire/constants.ts';
import type { Open } from './open.ts';

/**
 * A lease on a directory ends with any change in it that its holder did not make itself; a change of a file's content or attributes by
 * a client is told when that closes the file, as Windows does it. On a read-only share the files change behind the server's back,
 * so there the leases and oplocks on files are watched as well.
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

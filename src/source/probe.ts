/** The call that checks whether a source is alive. */
import { close, fstat, lstat, open, type Stats } from 'node:fs';
import { TreeError, fromErrno } from './errors.ts';
import type { Callback } from './lanes.ts';
import { directoryFlags } from './workers/survey.mjs';

/** Opens the directory, checks its device, and looks up a name in it. One lane call, which uses one thread at a time. */
export function probeOnce(
  directory: string,
  name: string,
  device: number | undefined,
  done: Callback<undefined>,
): void {
  open(Buffer.from(directory || '/', 'latin1'), directoryFlags, (failure, descriptor) => {
    if (failure) {
      done(failure, undefined);
      return;
    }
    const end = (error: Error | null) => close(descriptor, () => done(error, undefined));
    fstat(descriptor, (error, stats: Stats) => {
      if (error) end(error);
      else if (device !== undefined && stats.dev !== device)
        end(new TreeError('down', 'the path led to another filesystem'));
      else
        lstat(`/proc/self/fd/${descriptor}/${name}`, (answer) =>
          end(answer && (isDisconnected(answer) || isRefused(answer)) ? answer : null),
        );
    });
  });
}

const isDisconnected = (error: Error) => fromErrno(error).code === 'down';
/** A mount without allow_other refuses all users but its owner. */
const isRefused = (error: Error) => fromErrno(error).code === 'acces';

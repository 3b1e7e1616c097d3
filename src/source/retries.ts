/**
 * Limits how long a reader waits for the retry of a file after its cool-down. When the time is over, the reader gets the known
 * error; the retry continues and decides for later readers. A scan of a library with many dead links causes many retries at
 * once, so only a few of their readers wait for long.
 */
import { SourceLimits } from './limits.ts';
import { pause } from './pause.ts';

export class Retries {
  #patient = 0;

  /** Returns the result of the retry `read`; rejects with `known` if it takes too long. */
  async soon(read: Promise<number>, known: Error): Promise<number> {
    read.catch(() => undefined);
    const isPatient = this.#patient < SourceLimits.patientRetries;
    if (isPatient) this.#patient += 1;
    try {
      const patience = isPatient ? SourceLimits.retryPatience : SourceLimits.retryGlance;
      return await Promise.race([read, pause(patience).then(() => Promise.reject(known))]);
    } finally {
      if (isPatient) this.#patient -= 1;
    }
  }
}

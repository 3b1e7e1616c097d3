/**
 * How long the first who comes after a cool-down waits for a file that may still be broken. His try goes on by itself, and
 * decides for all; he hears the error that is known when he has waited long enough. While a library full of dead links is
 * scanned there are many such tries at once: only a few of their readers wait for long.
 */
import { SourceLimits } from './limits.ts';
import { pause } from './pause.ts';

export class Retries {
  #patient = 0;

  /** The outcome of the try `read`, or `known` when it does not come soon. */
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

/** Permits for a read: one for the whole file, which may hang, and one for each region, which may be broken separately. */
import type { TreeError, TreeErrorCode } from './errors.ts';
import { SourceLimits } from './limits.ts';
import type { Permit, Quarantine } from './quarantine.ts';

const regionOf = (position: number) => String(Math.floor(position / SourceLimits.verdictRegion));

export class ReadPermits {
  readonly #quarantine: Quarantine;
  readonly #path: string;
  /** The error of the last verdict, if this is the retry after a cool-down. */
  readonly retryOf: TreeError | undefined = undefined;
  /** Used only while the quarantine is not empty. Key '' is the whole file. */
  #permits: Map<string, Permit> | undefined;

  /** Throws the error of the case if the file or a region of this range is in quarantine. */
  constructor(quarantine: Quarantine, path: string, position: number, length: number) {
    this.#quarantine = quarantine;
    this.#path = path;
    if (quarantine.size === 0) return;
    this.#permits = new Map();
    try {
      this.#permits.set('', quarantine.admit('content', path));
      for (let at = position; at < position + length; at += SourceLimits.verdictRegion) this.#admit(at);
      this.#admit(position + length - 1);
      for (const permit of this.#permits.values()) this.retryOf ??= permit.retryOf;
    } catch (error) {
      this.withdraw();
      throw error;
    }
  }

  #admit(position: number): void {
    const region = regionOf(position);
    if (this.#permits!.has(region)) return;
    this.#permits!.set(region, this.#quarantine.admit('content', this.#path, region));
  }

  /** Bytes at `position` were read. */
  answered(position: number): void {
    if (this.#quarantine.size === 0) return;
    this.#of('').answered();
    this.#of(regionOf(position)).answered();
  }

  /** The error at `position` was confirmed. */
  failed(position: number, code: TreeErrorCode): void {
    this.#of(regionOf(position)).failed(code);
    this.#of('').answered();
  }

  /** The file did not answer, while the source was well. */
  timedOut(): void {
    this.#of('').failed('timeout');
  }

  /** Withdraws the permits without a result. */
  withdraw(): void {
    for (const permit of this.#permits?.values() ?? []) permit.withdraw();
  }

  #of(place: string): Permit {
    return this.#permits?.get(place) ?? this.#quarantine.permit('content', this.#path, place);
  }
}

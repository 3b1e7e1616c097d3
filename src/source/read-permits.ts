/** Leave to read some bytes of a file: of the whole file, which may hang, and of each region, which may be broken by itself. */
import type { TreeError, TreeErrorCode } from './errors.ts';
import { SourceLimits } from './limits.ts';
import type { Permit, Quarantine } from './quarantine.ts';

const regionOf = (position: number) => String(Math.floor(position / SourceLimits.verdictRegion));

export class ReadPermits {
  readonly #quarantine: Quarantine;
  readonly #path: string;
  /** The error that was confirmed last, when this is the one try after a cool-down. */
  readonly retryOf: TreeError | undefined = undefined;
  /** Made only while anything is in quarantine; key '' is the whole file. */
  #permits: Map<string, Permit> | undefined;

  /** Throws the error of the case when the file or a region of these bytes is in quarantine. */
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

  /** Bytes at `position` came. */
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

  /** What was not settled was not learnt. */
  withdraw(): void {
    for (const permit of this.#permits?.values() ?? []) permit.withdraw();
  }

  #of(place: string): Permit {
    return this.#permits?.get(place) ?? this.#quarantine.permit('content', this.#path, place);
  }
}

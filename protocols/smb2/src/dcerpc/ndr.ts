/** NDR transfer syntax, little-endian ([C706] chapter 14): the parts that the interfaces here need. */
import { FaultError, FaultStatus } from './errors.ts';

function badStub(why: string): never {
  throw new FaultError(FaultStatus.BAD_STUB_DATA, why);
}

/** Reads the stub of a request. Malformed data is a fault with BAD_STUB_DATA. */
export class NdrReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  u32(): number {
    this.at = (this.at + 3) & ~3;
    return this.take(4).readUInt32LE(0);
  }

  /** A conformant varying string of UTF-16 units that ends with NUL ([C706] 14.3.4). */
  string(): string {
    const maximum = this.u32();
    const offset = this.u32();
    const actual = this.u32();
    if (offset !== 0 || actual > maximum || actual === 0) badStub(`string of ${actual} units in ${maximum}`);
    const text = this.take(actual * 2).toString('utf16le');
    if (!text.endsWith('\0')) badStub('string without its end');
    return text.slice(0, -1);
  }

  /** A unique pointer outside a structure: its target follows directly. */
  unique<T>(read: () => T): T | undefined {
    return this.u32() === 0 ? undefined : read();
  }

  private take(length: number): Buffer {
    if (length > this.bytes.length - this.at)
      badStub(`${length} bytes at ${this.at} of ${this.bytes.length}`);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}

const FIRST_REFERENT = 0x00020000;

/** Writes the stub of a response. The targets of embedded pointers follow the structure that holds the pointers. */
export class NdrWriter {
  private bytes = Buffer.alloc(256);
  private length = 0;
  private referent = FIRST_REFERENT;
  private deferred: (() => void)[] = [];

  u32(value: number): this {
    this.reserve(4);
    this.bytes.writeUInt32LE(value >>> 0, this.length);
    this.length += 4;
    return this;
  }

  string(text: string): this {
    const units = text.length + 1;
    this.u32(units).u32(0).u32(units);
    const padded = (units * 2 + 3) & ~3;
    this.reserve(padded);
    this.bytes.write(text, this.length, 'utf16le');
    this.length += padded;
    return this;
  }

  /** An embedded unique pointer; undefined is NULL. */
  pointer<T>(value: T | undefined, write: (value: T) => void): this {
    if (value === undefined) return this.u32(0);
    this.u32(this.referent);
    this.referent += 4;
    this.deferred.push(() => write(value));
    return this;
  }

  stringPointer(text: string | undefined): this {
    return this.pointer(text, (value) => this.string(value));
  }

  /** Ends a structure or array: writes the targets of its pointers, each followed by the targets of its own pointers. */
  flush(): this {
    const pending = this.deferred;
    this.deferred = [];
    for (const write of pending) {
      write();
      this.flush();
    }
    return this;
  }

  done(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  /** All items are multiples of four bytes long, so nothing needs alignment. */
  private reserve(length: number): void {
    if (this.length + length <= this.bytes.length) return;
    const grown = Buffer.alloc(Math.max(this.bytes.length * 2, this.length + length));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }
}

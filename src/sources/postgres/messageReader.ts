import { postgresError } from "./postgresError.ts";

/** Ends reading for what no message of pgoutput, protocol 1, holds. */
export function unexpected(found: string, expected: string): never {
  throw postgresError(
    "Refused",
    `pgoutput: found ${found}, expected ${expected}: this server speaks another version of the protocol, or what lies between changes what is sent`,
  );
}

/** Reads the fields of a message, one after the other; beyond its end nothing is meant by them, see `checkEnd`. */
export class MessageReader {
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /** Begins with a message from `start` up to `end` of the buffer. */
  open(buffer: Buffer, start: number, end: number): void {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  byte(): number {
    return this.#buffer.readUInt8(this.#skip(1));
  }

  uint16(): number {
    return this.#buffer.readUInt16BE(this.#skip(2));
  }

  uint32(): number {
    return this.#buffer.readUInt32BE(this.#skip(4));
  }

  uint64(): bigint {
    return this.#buffer.readBigUInt64BE(this.#skip(8));
  }

  /** Up to a zero byte. */
  text(): string {
    const end = this.#buffer.indexOf(0, this.#at);
    const text = this.#buffer.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return text;
  }

  /** What `read` makes of the bytes after their count. */
  value(read: (buffer: Buffer, start: number, end: number) => unknown): unknown {
    const start = this.#skip(this.uint32());
    if (this.#at > this.#end) this.checkEnd();
    return read(this.#buffer, start, this.#at);
  }

  /** As `value`, and null where the count is -1. */
  nullable(read: (buffer: Buffer, start: number, end: number) => unknown): unknown {
    if (this.#buffer.readInt32BE(this.#at) >= 0) return this.value(read);
    this.#skip(4);
    return null;
  }

  /** The bytes after their count, where they lie. */
  bytes(): Buffer {
    const start = this.#skip(this.uint32());
    return this.#buffer.subarray(start, this.#at);
  }

  /** What is torn, or of another version, ends elsewhere. */
  checkEnd(): void {
    const beyond = this.#at - this.#end;
    if (beyond !== 0)
      unexpected(`a message of another length, by ${Math.abs(beyond)} bytes`, "the one it says");
  }

  /** Goes on by so many bytes; returns where it was. */
  #skip(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    return at;
  }
}

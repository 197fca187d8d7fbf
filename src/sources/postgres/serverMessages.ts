import { postgresError } from "./postgresError.ts";

/** Told of one message: its kind, and where in the buffer its content is. The buffer is written to no more. */
export type Receive = (kind: number, buffer: Buffer, start: number, end: number) => void;

/** Before each content: its kind, one byte, and its length with these four bytes. */
export const headerBytes = 5;

/**
 * Cuts what a server sends into its messages, wherever a read ends.
 *
 * - **Memory** what was read of a message that is not complete.
 * - **Errors** it throws what `receive` throws, and an {@link RxaddError} for what is no message; it is of no use afterwards.
 */
export class ServerMessages {
  readonly #receive: Receive;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** With how many bytes there is something to do. */
  #needed = headerBytes;

  constructor(receive: Receive) {
    this.#receive = receive;
  }

  push(chunk: Buffer): void {
    const at = this.#complete(chunk);
    if (at < chunk.length) this.#cut(chunk, at);
  }

  /** Joins what was read of a message with the rest of it, once, however many reads that takes; returns where in the chunk it ends. */
  #complete(chunk: Buffer): number {
    let at = 0;
    while (this.#bytes > 0 && at < chunk.length) {
      const end = Math.min(chunk.length, at + this.#needed - this.#bytes);
      this.#parts.push(chunk.subarray(at, end));
      this.#bytes += end - at;
      at = end;
      if (this.#bytes === this.#needed) this.#cut(Buffer.concat(this.#parts, this.#bytes), 0);
    }
    return at;
  }

  /** Tells the messages from a place in the buffer on, and keeps what is left. */
  #cut(buffer: Buffer, from: number): void {
    let at = from;
    let needed = headerBytes;
    while (at + headerBytes <= buffer.length) {
      const length = buffer.readInt32BE(at + 1);
      if (length < 4)
        throw postgresError("Refused", `found a message of ${length} bytes, expected 4 or more`);
      needed = length + 1;
      if (at + needed > buffer.length) break;
      this.#receive(buffer.readUInt8(at), buffer, at + headerBytes, at + needed);
      at += needed;
      needed = headerBytes;
    }
    this.#parts = at < buffer.length ? [buffer.subarray(at)] : [];
    this.#bytes = buffer.length - at;
    this.#needed = needed;
  }
}

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
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#needed) return;
    // Joined once, however many reads a long message takes.
    const buffer = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#bytes);
    let at = 0;
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

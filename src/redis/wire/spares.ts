/** How large each piece is, in bytes. */
export const spareBytes = 256 * 1024;

/** As many pieces as wait at once where a source is paused at half of a sink's buffer. */
const mostSpares = 16;

/** Pieces of memory that are written again, and kept for that only as long as nobody else needs the memory. */
export class Spares {
  #pieces = new WeakRef<Buffer[]>([]);

  take(): Buffer {
    return this.#pieces.deref()?.pop() ?? Buffer.allocUnsafeSlow(spareBytes);
  }

  /** Nothing is needed any more of what stands in a piece that was taken. */
  give(piece: Buffer): void {
    const pieces = this.#pieces.deref();
    if (pieces === undefined) this.#pieces = new WeakRef([piece]);
    else if (pieces.length < mostSpares) pieces.push(piece);
  }
}

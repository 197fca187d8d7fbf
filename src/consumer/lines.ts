/** Lets one of each key go at a time, in the order in which they came. */
export class Lines<T> {
  readonly #lines = new Map<string, { readonly waiting: T[]; isLeft: boolean }>();

  /** Whether it may go, has to wait for one before it, or is left to others as that was. */
  join(key: string, one: T): "goes" | "waits" | "left" {
    const line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, { waiting: [], isLeft: false });
    else if (line.isLeft) return "left";
    else line.waiting.push(one);
    return line === undefined ? "goes" : "waits";
  }

  /** The one that may go, now that the one before it is settled. */
  next(key: string): T | undefined {
    const line = this.#lines.get(key);
    const next = line?.waiting.shift();
    if (next === undefined && line?.isLeft === false) this.#lines.delete(key);
    return next;
  }

  /** Those behind one that is left to others: they must not be handled before it, nor those to come. */
  leave(key: string): readonly T[] {
    const line = this.#lines.get(key);
    if (line === undefined) return [];
    line.isLeft = true;
    return line.waiting.splice(0);
  }

  /** Those that waited for one: there is no line any more. */
  end(key: string): readonly T[] {
    const waiting = this.#lines.get(key)?.waiting ?? [];
    this.#lines.delete(key);
    return waiting;
  }
}

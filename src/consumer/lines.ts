/** Lets one of each key go at a time, in the order in which they came. */
export class Lines<T> {
  // By key, those behind the one that goes.
  readonly #lines = new Map<string, T[] | "left">();
  // What nearly all of them are: it stays empty.
  readonly #nobody: T[] = [];

  /** Whether it may go, has to wait for one before it, or is left to others as that was. */
  join(key: string, one: T): "goes" | "waits" | "left" {
    const line = this.#lines.get(key);
    if (line === "left") return "left";
    if (line === undefined) this.#lines.set(key, this.#nobody);
    else if (line === this.#nobody) this.#lines.set(key, [one]);
    else line.push(one);
    return line === undefined ? "goes" : "waits";
  }

  /** The one that may go, now that the one before it is settled. */
  next(key: string): T | undefined {
    const line = this.#lines.get(key);
    if (line === "left") return undefined;
    const next = line?.shift();
    if (next === undefined) this.#lines.delete(key);
    return next;
  }

  /** Those behind one that is left to others: they must not be handled before it, nor those to come. */
  leave(key: string): readonly T[] {
    const line = this.#lines.get(key);
    if (line === undefined || line === "left") return [];
    this.#lines.set(key, "left");
    return line;
  }

  /** Those that waited for one: there is no line any more. */
  end(key: string): readonly T[] {
    const line = this.#lines.get(key);
    this.#lines.delete(key);
    return line === undefined || line === "left" ? [] : line;
  }
}

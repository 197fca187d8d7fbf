import type { Delivery } from "./delivery.ts";
import type { Marked } from "./processed.ts";

/** Lets one delivery of each key be handled at a time; those that repeat it wait for its outcome. */
export class Repeats<E> {
  // By stream and key.
  readonly #waiting = new Map<string, Marked<E>[]>();

  /** Whether nothing with its key is being handled; else it waits. */
  isFirst(delivery: Marked<E>): boolean {
    const waiting = this.#waiting.get(nameOf(delivery));
    if (waiting === undefined) this.#waiting.set(nameOf(delivery), []);
    else waiting.push(delivery);
    return waiting === undefined;
  }

  /** Those that wait for one whose outcome is known. */
  release(delivery: Delivery<E>): readonly Marked<E>[] {
    const waiting = this.#waiting.get(nameOf(delivery)) ?? [];
    this.#waiting.delete(nameOf(delivery));
    return waiting;
  }
}

function nameOf({ stream, mark }: Pick<Delivery<unknown>, "stream" | "mark">): string {
  return `${stream}\n${mark?.id}`;
}

import { type Batch, isWritten } from "./encode/entry.ts";

/** One owner as the lane of a sink has it, or one of many writers, each with a lane of its own. */
export type Writers = "one" | "many";

/** What a sink's settings say of who publishes. */
interface WritersSettings {
  readonly writers: Writers | undefined;
  readonly buffer: { readonly overflow: "error" | "dropOldest" | "dropNewest" };
}

/** Who publishes, as far as the settings tell; undefined: the first event decides. What drops events has no place of one owner. */
export function writersOf({ writers, buffer }: WritersSettings): Writers | undefined {
  return writers ?? (buffer.overflow === "error" ? undefined : "many");
}

/** What is wrong with them; undefined: nothing. */
export function writersProblem({ writers, buffer }: WritersSettings): string | undefined {
  if (writers !== "one" || buffer.overflow === "error") return undefined;
  return `buffer.overflow: found ${buffer.overflow} with writers: one, expected error: what is dropped would be a hole before the position that one owner says is safe`;
}

/** Says what a subscription is: as it is told, or by its first event: with a position it is one owner, without one of many. */
export class WritersChoice {
  #writers: Writers | undefined;

  /** @param told - undefined: the first event decides */
  constructor(told: Writers | undefined) {
    this.#writers = told;
  }

  /** Undefined: nobody knows yet. */
  get writers(): Writers | undefined {
    return this.#writers;
  }

  /** Undefined: none of these events is known to have, or not to have, a position. */
  by(batch: Batch<unknown>): Writers | undefined {
    if (this.#writers === undefined) {
      const first = batch.find((entry) => entry.position !== undefined || isWritten(entry));
      if (first !== undefined) this.#writers = first.position === undefined ? "many" : "one";
    }
    return this.#writers;
  }
}

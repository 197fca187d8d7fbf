import type { Troubles } from "./troubles.ts";
import type { Verdict } from "./verifier.ts";
import type { WriterState } from "./writerProcess.ts";

/** Something that happened, in words. */
export interface Line {
  /** In ms since 1970. */
  readonly atMs: number;
  readonly text: string;
}

/** What the page tells beside the dashboard; fit for JSON. */
export interface Story {
  readonly committed: number;
  readonly transactions: number;
  readonly verified: number;
  /** Rows that were there already and were read as such. */
  readonly rows: number;
  /** Committed, or there already, and not yet read from the stream. */
  readonly onTheirWay: number;
  readonly difference: string | undefined;
  readonly isRedisUp: boolean;
  readonly isMemoryFull: boolean;
  readonly canTouchRedis: boolean;
  readonly isWriterUp: boolean;
  /** The newest first. */
  readonly lines: readonly Line[];
}

/** So many on their way are no backlog. */
const few = 100;

/** Tells what happened, and when all that waited has come through. */
export class Storyteller {
  #lines: readonly Line[] = [];
  /** The most that were on their way since the last trouble began; undefined: there was none, or it is over. */
  #backlog: number | undefined;

  happened(text: string): void {
    this.#lines = [{ atMs: Date.now(), text }, ...this.#lines].slice(0, 12);
    this.#backlog ??= 0;
  }

  tell(
    shop: { readonly committed: number; readonly transactions: number },
    { verified, rows, missing, difference }: Verdict,
    troubles: Troubles,
    writer: WriterState,
  ): Story {
    const onTheirWay = Math.max(0, shop.committed - verified) + missing;
    const isWell = troubles.isRedisUp() && !troubles.isMemoryFull() && writer.doing === "publishing";
    if (this.#backlog !== undefined) {
      this.#backlog = Math.max(this.#backlog, onTheirWay);
      if (isWell && onTheirWay < few && difference === undefined) {
        const backlog = this.#backlog.toLocaleString("en");
        this.happened(
          `All is well again: the ${backlog} changes that waited are in the stream. None was lost, none came twice, all are in order.`,
        );
        this.#backlog = undefined;
      }
    }
    return {
      ...shop,
      verified,
      rows,
      onTheirWay,
      difference,
      isRedisUp: troubles.isRedisUp(),
      isMemoryFull: troubles.isMemoryFull(),
      canTouchRedis: troubles.canTouchRedis,
      isWriterUp: writer.isRunning,
      lines: this.#lines,
    };
  }
}

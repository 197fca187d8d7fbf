import { setTimeout as delay } from "node:timers/promises";
import type { Cluster, Redis } from "ioredis";
import { describe, expect, it } from "vitest";
import type { SinkOptions } from "../../../src/index.ts";
import type { Numbered } from "../../kit/load/pacedNumbers.ts";
import { type Tally, tallyStream } from "../../kit/load/tally.ts";
import { form, seed } from "./form.ts";
import { type Load, startLoad, type Writer } from "./load.ts";
import { type Random, randomOf } from "./random.ts";
import { recordRow } from "./row.ts";
import { nothingLeakedSince, openHandles, watchMemory } from "./watch.ts";
import { rxadd, stream } from "./writers.ts";

/** The servers of a fault, and how they are reached. */
export interface Bed {
  /** Where the sink publishes, and what it is told besides. */
  readonly settings: Partial<SinkOptions<Numbered, number>>;
  /** Reads the stream back at the end. */
  readonly reader: () => Promise<Redis | Cluster> | Redis | Cluster;
  readonly stop: () => Promise<void>;
}

/** What an injection has at hand. */
export interface Scene<B extends Bed> {
  readonly bed: B;
  readonly load: Load;
  readonly random: Random;
  /** Which one this is, from 0. */
  readonly index: number;
}

/** A kind of fault: how it is injected, how often, and what is promised under it. */
export interface Fault<B extends Bed> {
  /** Such as "connection reset in the middle of a request". */
  readonly fault: string;
  readonly times: { readonly short: number; readonly long: number };
  /** Starts the servers. */
  readonly bed: () => Promise<B>;
  /**
   * Injects it once and mends it. Between two injections the load makes some progress by itself.
   */
  readonly inject: (scene: Scene<B>) => Promise<void>;
  /** Looked at when all is done and the load has drained; before the servers stop. */
  readonly afterwards?: (scene: {
    readonly bed: B;
    readonly found: Tally;
    readonly events: number;
  }) => Promise<void> | void;
  /** Default: nothing lost, doubled or out of order. */
  readonly promise?: { readonly text: string; readonly holds: (found: Tally, events: number) => void };
  /** Default: counts the numbers in the stream. */
  readonly count?: (bed: B, events: number) => Promise<Tally>;
  /** Default: rxadd with the bed's settings. */
  readonly writer?: (bed: B) => Writer;
  /** What rxadd is compared with: nothing bounds its memory. Default false. */
  readonly isControl?: boolean;
  /** Events every 5 ms. Default 100. */
  readonly perTick?: number;
  /** Checkpoints between two injections: from, to. Default 1 to 20. */
  readonly between?: readonly [number, number];
  /** Why this machine cannot show it, such as "libfaketime is not there"; undefined: it can. */
  readonly skip?: string | undefined;
}

/** What a fault promises that says nothing else. */
export const exactlyOnce: NonNullable<Fault<Bed>["promise"]> = {
  text: "0 / 0 / 0",
  holds: (found, events) => expect(found).toEqual({ entries: events, lost: 0, duplicates: 0, inversions: 0 }),
};

/** Buffer and process: what may come on top of the memory at the start. */
const mostGrowthMiB = 64 + 150;
/** Events of a row in the long form, at least. */
const longEvents = 110_000;

/** A family of faults: each is one test, and one line of the table. */
export function faults(family: string, register: () => void): void {
  describe(family, register);
}

/** Runs one kind of fault under load, and counts what is in the stream afterwards. */
export function fault<B extends Bed>(kind: Fault<B>): void {
  const promise = kind.promise ?? exactlyOnce;
  const title = kind.skip === undefined ? promise.text : `skipped, ${kind.skip}`;
  it.skipIf(kind.skip !== undefined)(
    `${kind.fault}: ${title}`,
    { timeout: form === "long" ? 600_000 : 120_000 },
    async ({ task, onTestFailed }) => {
      onTestFailed(() => console.error(`to run this schedule again: RXADD_SEED=${seed}`));
      const random = randomOf(seed);
      const handles = openHandles();
      const bed = await kind.bed();
      const memory = watchMemory(mostGrowthMiB);
      const load = startLoad(kind.writer?.(bed) ?? rxadd(bed.settings), kind.perTick ?? 100);
      let times = 0;
      try {
        const [fewest, most] = kind.between ?? [1, 20];
        for (let index = 0; index < kind.times[form]; index += 1) {
          await load.progress(random.between(fewest, most));
          // At any moment, not just after a checkpoint, when least is on its way.
          await delay(random.between(0, 10));
          await kind.inject({ bed, load, random, index });
          times += 1;
        }
        await load.progress(5);
        if (form === "long") await load.reach(longEvents);
        const { events, longestStallMs } = await load.finish();
        const { memoryMiB, growthMiB } = memory();
        const found = await (kind.count?.(bed, events) ?? tallyStream(await bed.reader(), stream, events));
        recordRow(task, {
          fault: kind.fault,
          times,
          events,
          lost: found.lost,
          duplicates: found.duplicates,
          inversions: found.inversions,
          longestStallMs,
          memoryMiB,
          promise: promise.text,
        });
        promise.holds(found, events);
        if (!kind.isControl) expect(growthMiB, "growth of memory in MiB").toBeLessThan(mostGrowthMiB);
        await kind.afterwards?.({ bed, found, events });
      } finally {
        memory();
        load.crash();
        await bed.stop();
      }
      await nothingLeakedSince(handles);
    },
  );
}

import { expect } from "vitest";
import { readEvents } from "../../kit/load/tally.ts";
import type { Fault } from "./fault.ts";
import type { OneServer } from "./oneServer.ts";
import { stream } from "./writers.ts";

/**
 * The promise where somebody else takes entries away, from the oldest on: what is left is in order, once,
 * and without a gap up to the last event.
 */
export function oldestGone<B extends OneServer>(
  text: string,
  afterwards?: Fault<B>["afterwards"],
): Pick<Fault<B>, "promise" | "afterwards"> {
  return {
    promise: {
      text,
      holds: ({ entries, lost, duplicates, inversions }, events) =>
        expect({ entries, duplicates, inversions }).toEqual({
          entries: events - lost,
          duplicates: 0,
          inversions: 0,
        }),
    },
    afterwards: async (scene) => {
      const [oldest = "{}"] = await readEvents(scene.bed.server.client, stream);
      expect(Number(JSON.parse(oldest).n), "the oldest event left").toBe(scene.found.lost + 1);
      await afterwards?.(scene);
    },
  };
}

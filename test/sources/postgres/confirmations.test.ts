import { Subject } from "rxjs";
import { describe, expect, it } from "vitest";
import type { Lsn } from "../../../src/event/lsn.ts";
import { confirmations } from "../../../src/sources/postgres/confirmations.ts";

/** What is told of so many changes that are received. */
function told({ isWatched = false, acknowledgesAfter = Number.POSITIVE_INFINITY, isOnlyMark = false } = {}) {
  const passed = new Subject<Lsn>();
  if (isWatched) passed.subscribe();
  const unheard: number[] = [];
  const { received, acknowledge } = confirmations({
    passed,
    isOnlyMark,
    unheard: (changes) => unheard.push(changes),
  });
  for (let index = 1; index <= 25_000; index += 1) {
    const position = `0/1:${index}` as Lsn;
    received(position);
    if (index === acknowledgesAfter) acknowledge(position);
  }
  return unheard;
}

describe("changes that nobody acknowledges", () => {
  it("are told once: who piped the source by hand has lost what is acknowledged", () => {
    expect(told()).toEqual([10_000]);
  });

  it("are no news where a sink hears of places, where somebody has acknowledged, or where the slot is the only mark", () => {
    expect([told({ isWatched: true }), told({ acknowledgesAfter: 7 }), told({ isOnlyMark: true })]).toEqual([
      [],
      [],
      [],
    ]);
  });
});

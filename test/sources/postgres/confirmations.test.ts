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

describe("a place that a server has come to", () => {
  it("is passed as long as the connection that tells of it", () => {
    const places: Lsn[] = [];
    const passed = new Subject<Lsn>();
    const { begin, connected, received, acknowledge, idle, pass } = confirmations({
      passed,
      isOnlyMark: false,
    });
    passed.subscribe((place) => {
      places.push(place);
      acknowledge(place);
    });
    begin(undefined);
    connected(0x10n);
    idle(0x20n);
    pass();
    received("0/30:1" as Lsn);
    idle(0x90n);
    pass();
    acknowledge("0/30:1" as Lsn);

    connected(0x20n);
    pass();
    idle(0x40n);
    pass();

    expect(places).toEqual(["0/10", "0/20", "0/40"]);
  });
});

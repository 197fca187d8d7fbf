import { describe, expect, it } from "vitest";
import { FanOutInput } from "../../src/pipeline/fanOutInput.ts";

describe("what one sink of several is given", () => {
  function inputOf(maxLate: number) {
    let overflows = 0;
    const input = new FanOutInput<number>(maxLate, () => {
      overflows += 1;
    });
    const seen: number[] = [];
    const subscription = input
      .events$(() => {})
      .subscribe((event) => {
        seen.push(event);
        // As a source does that goes on from within.
        if (event === 1) input.next(9);
      });
    return { input, seen, subscription, overflows: () => overflows };
  }

  it("keeps what comes before it is open, and gives it out before what comes meanwhile", () => {
    const { input, seen } = inputOf(3);
    for (const event of [1, 2, 3]) input.next(event);
    expect(seen).toEqual([]);

    input.open();
    input.next(4);

    expect(seen).toEqual([1, 2, 3, 9, 4]);
  });

  it("tells when more came than it keeps", () => {
    const { input, overflows } = inputOf(2);
    input.next(1);
    input.next(2);
    expect(overflows()).toBe(0);

    input.next(3);

    expect(overflows()).toBe(1);
  });

  it("keeps nothing when it is dropped", () => {
    const { input, seen } = inputOf(2);
    input.next(2);

    input.drop();
    input.open();

    expect(seen).toEqual([]);
  });
});

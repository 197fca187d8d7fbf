import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eventRate } from "../../src/telemetry/eventRate.ts";

describe("eventRate", () => {
  it("is 0 at the first look", () => {
    expect(eventRate(1000).at(0, 500)).toBe(0);
  });

  it("is what came per second over the window", () => {
    const rate = eventRate(1000);
    const counts = [0, 100, 200, 300, 400, 500, 500, 500, 500, 500];
    const rates = counts.map((count, index) => rate.at(index * 250, count));
    expect(rates).toEqual([0, 400, 400, 400, 400, 400, 300, 200, 100, 0]);
  });

  it("is never less than 0, and never more than the steepest step", () => {
    const steps = fc.array(
      fc.record({ ms: fc.integer({ min: 1, max: 3000 }), events: fc.integer({ min: 0, max: 1e6 }) }),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(steps, (steps) => {
        const rate = eventRate(1000);
        rate.at(0, 0);
        const steepest = Math.max(...steps.map(({ ms, events }) => (events * 1000) / ms));
        let [ms, count] = [0, 0];
        for (const step of steps) {
          ms += step.ms;
          count += step.events;
          const found = rate.at(ms, count);
          expect(found).toBeGreaterThanOrEqual(0);
          expect(found).toBeLessThanOrEqual(steepest * 1.0001);
        }
      }),
    );
  });
});

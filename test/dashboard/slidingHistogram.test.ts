import { describe, expect, it } from "vitest";
import { slidingHistogram } from "../../src/dashboard/slidingHistogram.ts";

describe("slidingHistogram", () => {
  it("is nothing before the first value", () => {
    expect(slidingHistogram(5000).now(0)).toBeUndefined();
  });

  it("tells half, 99 of 100, the mean and the largest within 0.1 %", () => {
    const histogram = slidingHistogram(5000);
    for (let value = 1; value <= 1000; value += 1) histogram.record(value, 0);
    const { p50 = 0, p99 = 0, mean = 0, max = 0 } = histogram.now(0) ?? {};
    expect([p50 / 500, p99 / 990, mean / 500.5, max / 1000]).toEqual(Array(4).fill(expect.closeTo(1, 2.3)));
  });

  it("holds values for the window, and drops them before twice of it", () => {
    const histogram = slidingHistogram(5000);
    histogram.record(7, 0);
    expect(histogram.now(4999)?.max).toBe(7);
    histogram.record(3, 6000);
    expect(histogram.now(9999)?.max).toBe(7);
    expect(histogram.now(11_000)?.max).toBe(3);
    expect(histogram.now(60_000)).toBeUndefined();
  });

  it.each([
    [-1, 1],
    [0.4, 1],
    [1e12, 3.6e9],
  ])("takes %d for the nearest that it can hold", (value, nearest) => {
    const histogram = slidingHistogram(5000);
    histogram.record(value, 0);
    expect((histogram.now(0)?.max ?? 0) / nearest).toBeCloseTo(1, 1);
  });
});

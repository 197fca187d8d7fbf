import { describe, expect, it } from "vitest";
import { guard } from "../../src/telemetry/guard.ts";

const message = (name: string, error: string) =>
  `${name} threw: ${error}; it goes on being told, and no more is said of its errors`;

describe("guard", () => {
  it("keeps what is thrown, whatever it is, and tells of the first error of each", () => {
    const told: string[] = [];
    const called: number[] = [];
    const guarded = guard((message) => told.push(message));

    for (const n of [1, 2, 3])
      guarded("status", () => {
        called.push(n);
        if (n < 3) throw Object.create(null);
      });
    guarded("metrics", () => {
      throw new Error("no counter");
    });

    expect(called).toEqual([1, 2, 3]);
    expect(told).toEqual([message("status", "something that has no text"), message("metrics", "no counter")]);
  });

  it("keeps what is rejected later", async () => {
    const told: string[] = [];

    guard((message) => told.push(message))("status", () => Promise.reject(new Error("no log")));
    await Promise.resolve();

    expect(told).toEqual([message("status", "no log")]);
  });
});

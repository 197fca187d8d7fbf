import { describe, expect, it, onTestFinished, vi } from "vitest";
import { guarded } from "../../src/errors/guarded.ts";

describe("guarded", () => {
  it("hands on what it is told, and warns once of what is thrown", () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warned.mockRestore());
    const told: number[] = [];
    const tell = guarded("status", (n: number) => {
      told.push(n);
      if (n < 3) throw Object.create(null);
    });

    for (const n of [1, 2, 3]) tell(n);

    expect(told).toEqual([1, 2, 3]);
    expect(warned.mock.calls).toEqual([
      ["status threw, and is told on: something was thrown that has no text", "RxaddWarning"],
    ]);
  });

  it("warns of what is rejected later", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warned.mockRestore());

    guarded("status", () => Promise.reject(new Error("no log")))(1);
    await Promise.resolve();

    expect(warned.mock.calls).toEqual([["status threw, and is told on: no log", "RxaddWarning"]]);
  });

  it("tells nobody where there is nobody", () => {
    expect(() => guarded("status", undefined)(1)).not.toThrow();
  });
});

import { describe, expect, it } from "vitest";
import type { Point } from "../../../src/dashboard/history.ts";
import { initialState, type PageState, type Update, updated } from "../../../src/dashboard/page/state.ts";
import type { RedisFigures } from "../../../src/telemetry/redisFigures.ts";

const point = (atMs: number): Point => ({
  atMs,
  eventsPerSecond: 1,
  p50Ms: undefined,
  p99Ms: undefined,
  batchEvents: undefined,
  buffered: 0,
  behindMs: undefined,
});

function seeing(...updates: readonly Update[]): PageState {
  return updates.reduce((state, update) => updated(state, update, false), initialState);
}

function figures(length: number, entryId: string): RedisFigures {
  const entries = [{ entryId, fields: [] }];
  return {
    ...{ atMs: 1, memoryBytes: 1, maxMemoryBytes: 0 },
    streams: [{ stream: "orders", length, memoryBytes: 1, groups: [], entries }],
  };
}

describe("updated", () => {
  it("goes on with what it has seen when a process begins anew, and says so while there is none", () => {
    const seen = seeing({ name: "history", data: { shop: [point(1), point(2)] } }, { name: "lost" });
    expect(seen.connection).toBe("lost");
    const again = updated(seen, { name: "history", data: { shop: [point(9)] } }, false);
    expect(again.connection).toBe("live");
    expect(again.history.shop?.map(({ atMs }) => atMs)).toEqual([1, 2, 9]);
  });

  it("shows nothing twice that the process remembers, too", () => {
    const { history } = seeing(
      { name: "history", data: { shop: [point(1), point(2), point(3)] } },
      { name: "history", data: { shop: [point(2), point(3), point(4)] } },
    );
    expect(history.shop?.map(({ atMs }) => atMs)).toEqual([1, 2, 3, 4]);
  });

  it("holds the entries while somebody reads one, and nothing else", () => {
    const before = seeing({ name: "redis", data: { sink: "shop", figures: figures(1, "1-0") } });
    const update: Update = { name: "redis", data: { sink: "shop", figures: figures(2, "2-0") } };
    const [held] = updated(before, update, true).redis.shop?.streams ?? [];
    const [moved] = updated(before, update, false).redis.shop?.streams ?? [];
    expect(held).toMatchObject({ length: 2, entries: [{ entryId: "1-0" }] });
    expect(moved).toMatchObject({ length: 2, entries: [{ entryId: "2-0" }] });
  });
});

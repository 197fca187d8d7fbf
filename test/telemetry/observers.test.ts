import { describe, expect, it, onTestFinished, vi } from "vitest";
import { consumerReporter } from "../../src/telemetry/consumerReporter.ts";
import { Observers } from "../../src/telemetry/observers.ts";
import type { SinkObserver } from "../../src/telemetry/sinkObserver.ts";
import { type SinkObservers, sinkWatchers } from "../../src/telemetry/sinkWatchers.ts";

const batch = { events: 2, bytes: 10, latencySeconds: 0.1, stageSeconds: 0.2 };
const fill = { items: 1, bytes: 5, maxItems: 10, maxBytes: 100 };
const checkpoint = {
  ...{ sink: "orders", stream: "s", position: 1, sequence: 1, events: 2, replayed: 0, entryId: "1-0" },
};
const boom = () => {
  throw new Error("boom");
};
const goesOn = "threw: boom; it goes on being told, and no more is said of its errors";

/** What the process is warned of. */
function warnings(): readonly unknown[][] {
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => warned.mockRestore());
  return warned.mock.calls;
}

describe("the observers of a sink", () => {
  const watchersOf = (given: Omit<SinkObservers, "id">) => sinkWatchers({ id: "orders", ...given });

  it("are told each what it has a method for, as status, metrics and one or several observers", () => {
    const told: unknown[] = [];
    const tell = (name: string) => (what: unknown) => told.push([name, what]);
    const watchers = watchersOf({
      status: [{ next: tell("status 1") }, { next: tell("status 2") }],
      metrics: { published: tell("metrics") },
      observers: [{ status: tell("health") }, { buffered: tell("buffer") }, { checkpoint: tell("progress") }],
    });

    watchers.status({ state: "connecting" });
    watchers.published(batch);
    watchers.buffered(fill);
    watchers.checkpoint(checkpoint, 7);

    expect(told).toEqual([
      ["status 1", { state: "connecting" }],
      ["status 2", { state: "connecting" }],
      ["health", { state: "connecting" }],
      ["metrics", batch],
      ["buffer", fill],
      ["progress", checkpoint],
    ]);
  });

  it("end nothing by throwing: a warning tells the first time of each", () => {
    const processWarnings = warnings();
    const messages: string[] = [];
    const published = vi.fn();
    const watchers = watchersOf({
      observers: [
        { status: boom, published: boom },
        { published },
        { published: async () => boom() },
        { status: (now) => now.state === "warning" && messages.push(now.message) },
      ],
    });

    watchers.published(batch);
    watchers.published(batch);
    watchers.status({ state: "publishing" });

    expect(published).toHaveBeenCalledTimes(2);
    expect(messages).toEqual([`observers[0] ${goesOn}`]);
    expect(processWarnings).toEqual([[`redisSink orders: observers[0] ${goesOn}`, "RxaddWarning"]]);
  });

  it("are told by one name alone where there is but one", () => {
    const processWarnings = warnings();
    watchersOf({ observers: { status: boom } }).status({ state: "connecting" });

    expect(processWarnings).toEqual([[`redisSink orders: observers ${goesOn}`, "RxaddWarning"]]);
  });

  it.each<readonly [boolean, string, Omit<SinkObservers, "id">]>([
    [false, "nobody", {}],
    [false, "a status", { status: { next: () => {} }, observers: { status: () => {} } }],
    [false, "the buffer", { observers: [{ buffered: () => {} }] }],
    [true, "batches", { observers: [{ status: () => {} }, { published: () => {} }] }],
    [true, "checkpoints", { metrics: { checkpoint: () => {} } }],
  ])("make it measure its batches: %s where they hear of %s", (isWatched, _, given) => {
    expect(watchersOf(given).isWatched()).toBe(isWatched);
  });

  it("make it measure for as long as one that came later hears of batches", () => {
    const watchers = watchersOf({});
    const later: SinkObserver = { published: () => {} };
    const watching = watchers.watch(later);

    expect(watchers.isWatched()).toBe(true);
    watching.unsubscribe();
    expect(watchers.isWatched()).toBe(false);
  });
});

describe("the observers of a consumer", () => {
  it("are told each what it has a method for", () => {
    const told: unknown[] = [];
    const tell = (name: string) => (what: unknown) => told.push([name, what]);
    const reporter = consumerReporter("groupDeliveries mailer", {
      status: { next: tell("status") },
      metrics: { acknowledged: tell("metrics") },
      observers: [{ status: tell("health"), delivered: tell("counts") }, { held: tell("held") }],
    });

    reporter.report({ state: "connecting" });
    reporter.delivered?.(3);
    reporter.acknowledged?.(2);
    reporter.held?.(1);

    expect(told).toEqual([
      ["status", { state: "connecting" }],
      ["health", { state: "connecting" }],
      ["counts", 3],
      ["metrics", 2],
      ["held", 1],
    ]);
  });

  it("cost nothing where nobody hears of deliveries", () => {
    const reporter = consumerReporter("groupDeliveries mailer", { observers: { status: () => {} } });

    expect(reporter).not.toHaveProperty("delivered");
    expect(reporter).not.toHaveProperty("acknowledged");
    expect(reporter).not.toHaveProperty("held");
  });

  it("end nothing by throwing: a warning tells the first time of each", () => {
    const processWarnings = warnings();
    const messages: string[] = [];
    const reporter = consumerReporter("groupDeliveries mailer", {
      observers: [
        { delivered: boom, acknowledged: boom },
        { status: (now) => now.state === "warning" && messages.push(now.message) },
        { acknowledged: boom },
      ],
    });

    reporter.delivered?.(1);
    reporter.acknowledged?.(1);

    expect(messages).toEqual([`observers[0] ${goesOn}`, `observers[2] ${goesOn}`]);
    expect(processWarnings).toHaveLength(2);
  });
});

describe("Observers", () => {
  it("may add and leave while they are told", () => {
    const heard: string[] = [];
    const observers = new Observers<{ heard?: () => void }>("it", [], () => {});
    const first = observers.add({
      name: "first",
      observer: {
        heard: () => {
          heard.push("first");
          first.unsubscribe();
        },
      },
    });
    observers.add({ name: "second", observer: { heard: () => heard.push("second") } });

    observers.tell("heard", (observer) => observer.heard?.());
    observers.tell("heard", (observer) => observer.heard?.());

    expect(heard).toEqual(["first", "second", "second"]);
  });
});

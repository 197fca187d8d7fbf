import { type Observable, of, Subject, VirtualTimeScheduler } from "rxjs";
import { describe, expect, it } from "vitest";
import { standardPositions } from "../../../src/event/positions.ts";
import {
  type LaneKeys,
  laneKeys,
  type NumberedBatch,
  type PublishReply,
} from "../../../src/redis/publish/publishPort.ts";
import type { Batch } from "../../../src/sink/encode/entry.ts";
import type { AcknowledgedBatch } from "../../../src/sink/lane/lane.ts";
import { ownedLane, ownLane } from "../../../src/sink/lane/laneKinds.ts";
import type { Publishing } from "../../../src/sink/lane/publishing.ts";
import type { SinkStatus } from "../../../src/telemetry/status.ts";
import { entryWith } from "./entries.ts";

const dayMs = 86_400_000;
const published: PublishReply = { reply: "published", entryId: "1-0", isRenewed: false };

/** A lane at a Redis that answers as it is told, which otherwise has what it is sent. */
function laneAt({ isDurable = false, isOwned = false } = {}) {
  const clock = new VirtualTimeScheduler(undefined, 0);
  const statuses: SinkStatus[] = [];
  const sent: { readonly key: string; readonly sequence: number; readonly ids: readonly unknown[] }[] = [];
  const answers: PublishReply[] = [];
  const confirms: Observable<PublishReply>[] = [];
  const owners: string[] = [];
  const batch = (...ids: readonly string[]): Batch<number> =>
    ids.map((id) => entryWith<number>({ id, position: undefined, safe: undefined }));
  const publishPort = {
    open: (_keys: LaneKeys, owner: string) => {
      owners.push(owner);
      const stand = { sequence: 0, position: "", ahead: "", entryId: "" };
      return of({ reply: "opened" as const, epoch: owners.length, foreignEntries: 0, ...stand });
    },
    publish: ({ state: key }: LaneKeys, { sequence, entries }: NumberedBatch): Observable<PublishReply> => {
      sent.push({ key, sequence, ids: entries.map((entry) => Reflect.get(entry, "id")) });
      return of(answers.shift() ?? published);
    },
    confirm: () => confirms.shift() ?? of(answers.shift() ?? published),
  };
  const report = (status: SinkStatus) => statuses.push(status);
  // Of what the lanes of a subscription share it asks for nothing else.
  const shared = {
    tuning: { adopt: false, retry: {}, durability: isDurable ? {} : undefined },
    ...{ positions: standardPositions, status: { report }, scheduler: clock, spans: undefined },
  } as unknown as Publishing<number>;
  const parts = {
    ...{ keys: laneKeys("orders", "shop"), stream: "orders", publishPort, isResuming: false },
    ...{ status: { failed: () => {}, reached: () => {} }, opened: () => {}, replayed: () => {} },
  };
  const lane = isOwned ? ownedLane(shared, parts, "me") : ownLane(shared, parts);
  const results: unknown[] = [];
  /** Publishes a batch; what comes of it, as an acknowledgement or the tag of an error. */
  const publish = (what: Batch<number>) => {
    let result: unknown;
    lane.publish(what).subscribe({
      next: (acknowledged) => {
        result = acknowledged;
      },
      error: ({ _tag }) => {
        result = _tag;
      },
    });
    results.push(result);
    return result;
  };
  const pass = (ms: number) => {
    clock.schedule(() => {}, ms);
    clock.maxFrames = clock.frame + ms;
    clock.flush();
  };
  return { lane, publish, batch, sent, answers, confirms, statuses, owners, pass };
}

describe("a lane of one of many writers", () => {
  it("numbers its batches from 1 under a name of its own", () => {
    const { publish, batch, sent, owners } = laneAt();
    publish(batch("a", "b"));
    publish(batch("c"));

    expect(sent).toMatchObject([
      { sequence: 1, ids: ["a", "b"] },
      { sequence: 2, ids: ["c"] },
    ]);
    expect(sent[0]?.key).toMatch(/^\{orders\}:rxadd:shop:run:/);
    expect(sent[1]?.key).toBe(sent[0]?.key);
    expect(owners).toEqual([]);
  });

  it("begins a new run when it has rested, before its state may have expired, and says nothing", () => {
    const { publish, batch, sent, statuses, pass } = laneAt();
    publish(batch("a"));
    pass(dayMs / 2);
    publish(batch("b"));
    pass(dayMs / 2 + 1);
    publish(batch("c"));

    expect(sent.map(({ sequence }) => sequence)).toEqual([1, 2, 1]);
    expect(sent[1]?.key).toBe(sent[0]?.key);
    expect(sent[2]?.key).not.toBe(sent[0]?.key);
    expect(statuses).toEqual([]);
  });

  it("tells that nobody knows what is there when its state expired with a batch on its way, and sends it again", () => {
    const { publish, batch, sent, statuses, answers, pass } = laneAt();
    publish(batch("a"));
    const late = batch("b");
    answers.push({ reply: "gap", sequence: 1, position: "" });
    expect(publish(late)).toBe("EarlierBatchFailed");
    pass(dayMs);
    answers.push({ reply: "missing", streamStands: true });
    expect(publish(late)).toBe("EarlierBatchFailed");
    expect(publish(late)).toMatchObject({ sequence: 1 });

    expect(sent.map(({ sequence }) => sequence)).toEqual([1, 2, 2, 1]);
    expect(statuses).toEqual([{ state: "warning", message: expect.stringContaining("may be there twice") }]);
  });

  it("counts what came after the batch that Redis has gone back to", () => {
    const { publish, batch, answers, statuses, sent } = laneAt();
    for (const ids of [["a"], ["b", "c"], ["d", "e", "f"]]) publish(batch(...ids));
    answers.push({ reply: "gap", sequence: 1, position: "" });
    const next = batch("g");
    publish(next);
    publish(next);

    expect(statuses).toEqual([{ state: "lost", stream: "orders", events: 5 }]);
    expect(sent.at(-1)).toMatchObject({ sequence: 1, ids: ["g"] });
  });

  it("tells of a second loss what was left after the first one", () => {
    const { publish, batch, answers, statuses } = laneAt();
    for (const ids of [["a"], ["b", "c"]]) publish(batch(...ids));
    const [next, last] = [batch("d"), batch("e")];
    answers.push({ reply: "gap", sequence: 1, position: "" });
    publish(next);
    publish(next);
    answers.push({ reply: "missing", streamStands: false });
    publish(last);
    publish(last);

    expect(statuses.map((status) => "events" in status && status.events)).toEqual([2, 2]);
  });

  it("sends what was not durable yet before all else, and what stands there not again", () => {
    const { publish, batch, answers, statuses, sent } = laneAt({ isDurable: true });
    for (const id of ["a", "b", "c"]) publish(batch(id));
    answers.push({ reply: "gap", sequence: 1, position: "" });
    const next = batch("d");
    expect(publish(next)).toBe("EarlierBatchFailed");
    publish(next);

    expect(sent.slice(-3)).toMatchObject([
      { sequence: 1, ids: ["b"] },
      { sequence: 2, ids: ["c"] },
      { sequence: 3, ids: ["d"] },
    ]);
    expect(statuses).toEqual([]);
  });

  it("knows after a second loss what the run between has of what it has sent again", () => {
    const { lane, publish, batch, answers, statuses, sent } = laneAt({ isDurable: true });
    const early = publish(batch("a", "b"));
    lane.confirm(early as AcknowledgedBatch<number>).subscribe();
    for (const id of ["c", "d", "e"]) publish(batch(id));
    const [next, last] = [batch("f"), batch("g")];
    answers.push({ reply: "missing", streamStands: false });
    publish(next);
    publish(next);
    answers.push({ reply: "gap", sequence: 2, position: "" });
    publish(last);
    publish(last);

    expect(sent.slice(-3)).toMatchObject([
      { sequence: 1, ids: ["e"] },
      { sequence: 2, ids: ["f"] },
      { sequence: 3, ids: ["g"] },
    ]);
    expect(statuses).toEqual([{ state: "lost", stream: "orders", events: 2 }]);
  });

  it("holds what is acknowledged twice once, and lets go of it when it is durable", () => {
    const { lane, publish, batch, answers, sent } = laneAt({ isDurable: true });
    const once = batch("a");
    publish(once);
    lane.confirm(publish(once) as AcknowledgedBatch<number>).subscribe();
    answers.push({ reply: "missing", streamStands: true });
    const next = batch("b");
    publish(next);
    publish(next);

    expect(sent.at(-2)?.ids).toEqual(["b"]);
    expect(sent.at(-1)).toMatchObject({ sequence: 1, ids: ["b"] });
  });

  it("refuses an event with a position, and sends nothing of its batch", () => {
    const { publish, batch, sent } = laneAt();
    expect(publish([...batch("a"), entryWith<number>({ position: 7, safe: 7 })])).toBe("PositionInvalid");
    expect(sent).toEqual([]);
  });
});

describe("the lane of a sink", () => {
  it("is opened anew under another name when Redis has lost it and no event has a position", () => {
    const { publish, batch, answers, statuses, owners, sent } = laneAt({ isOwned: true });
    publish(batch("a"));
    answers.push({ reply: "missing", streamStands: true });
    const next = batch("b");
    expect(publish(next)).toBe("EarlierBatchFailed");
    publish(next);

    expect(new Set(owners).size).toBe(2);
    expect(sent.at(-1)).toMatchObject({ sequence: 1, ids: ["b"] });
    expect(statuses).toEqual([{ state: "lost", stream: "orders", events: 1 }]);
  });

  it("is not fenced by itself where a confirmation comes after it was opened anew", () => {
    const { lane, publish, batch, answers, confirms } = laneAt({ isOwned: true, isDurable: true });
    const late = new Subject<PublishReply>();
    confirms.push(late);
    const tags: unknown[] = [];
    const acknowledged = publish(batch("a")) as AcknowledgedBatch<number>;
    lane.confirm(acknowledged).subscribe({ error: ({ _tag }) => tags.push(_tag) });
    answers.push({ reply: "missing", streamStands: true });
    const next = batch("b");
    publish(next);
    publish(next);
    late.next({ reply: "fenced", epoch: 2 });

    expect(tags).toEqual(["EarlierBatchFailed"]);
  });

  it("asks for a rewind once an event has had a position", () => {
    const { publish, answers, statuses } = laneAt({ isOwned: true });
    publish([entryWith<number>({ position: 1, safe: 1 })]);
    answers.push({ reply: "missing", streamStands: false });

    expect(publish([entryWith<number>({ position: 2, safe: 2 })])).toBe("RewindRequired");
    expect(statuses).toEqual([]);
  });

  it.each(["fenced", "outdated"] as const)("is not taken back from who has it now (%s)", (reply) => {
    const { publish, batch, answers, statuses } = laneAt({ isOwned: true });
    publish(batch("a"));
    answers.push(reply === "fenced" ? { reply, epoch: 9 } : { reply, position: "" });

    expect(publish(batch("b"))).toBe(reply === "fenced" ? "Fenced" : "EarlierBatchFailed");
    expect(statuses).toHaveLength(reply === "fenced" ? 0 : 1);
  });
});

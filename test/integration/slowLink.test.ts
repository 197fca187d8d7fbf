import { BehaviorSubject, lastValueFrom } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Flow, fromIterable, redisSink, type SinkStatus } from "../../src/index.ts";
import { tallyStream } from "../kit/load/tally.ts";
import { startSlowLink } from "../kit/network/slowLink.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

const redis = emptyRedis();

describe("a link that is slower than one batch in sendTimeoutMs", () => {
  it("is given more time, and gets everything through once and in order", async () => {
    const link = await startSlowLink(redis.port, 200_000);
    onTestFinished(link.stop);
    const flow = new BehaviorSubject<Flow>("resume");
    const statuses: SinkStatus[] = [];
    const events = Array.from({ length: 60 }, (_, index) => ({
      n: index + 1,
      pad: "x".repeat(10_000),
      position: index + 1,
    }));

    const checkpoint = await lastValueFrom(
      fromIterable(events, flow).pipe(
        redisSink({
          id: "x",
          uri: link.uri,
          stream: "orders",
          flow,
          sendTimeoutMs: 300,
          batch: { maxBytes: 100_000 },
          status: { next: (status) => statuses.push(status) },
        }),
      ),
    );

    expect(checkpoint.position).toBe(60);
    expect(await tallyStream(redis.client, "orders", 60)).toEqual({
      entries: 60,
      lost: 0,
      duplicates: 0,
      inversions: 0,
    });
    expect(statuses).toContainEqual(
      expect.objectContaining({
        state: "retrying",
        cause: expect.objectContaining({
          _tag: "ConnectionLost",
          message: expect.stringContaining("no answer within 300 ms"),
        }),
      }),
    );
  });
});

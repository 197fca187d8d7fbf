import { randomBytes } from "node:crypto";
import { firstValueFrom, lastValueFrom, Subject, take, takeWhile, tap, toArray } from "rxjs";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { entryCopies, type StreamSourceOptions, streamSource } from "../../../src/consumer.ts";
import { redisSink, replicate } from "../../../src/index.ts";
import { watched } from "../../kit/load/watched.ts";
import { type RedisServer, startRedis } from "../../kit/servers/redisServer.ts";

const stream = "orders.events";

let here: RedisServer;
let there: RedisServer;
beforeAll(async () => {
  [here, there] = await Promise.all([startRedis(), startRedis()]);
});
afterAll(() => Promise.all([here.stop(), there.stop()]));
beforeEach(async () => {
  await Promise.all([here.client.flushall(), there.client.flushall()]);
});

/** Entries 1-0, 2-0 and so on. */
async function add(first: number, last = first): Promise<void> {
  const pipeline = here.client.pipeline();
  for (let n = first; n <= last; n += 1) pipeline.xadd(stream, `${n}-0`, "event", `{"n":${n}}`);
  await pipeline.exec();
}

function source(settings: Partial<StreamSourceOptions> = {}) {
  return streamSource({ uri: here.uri, stream, blockMs: 200, ...settings });
}

const sink = (publish: "script" | "multi" = "script") =>
  redisSink({ id: "copy", uri: there.uri, stream, publish, ...entryCopies });

/** Copies until the target is as far as an entry of the source. */
function copyTo(entryId: string, publish?: "script" | "multi") {
  return lastValueFrom(
    replicate({ source: source(), sink: sink(publish) }).pipe(
      takeWhile(({ position }) => position !== entryId, true),
    ),
  );
}

async function contents({ client }: RedisServer): Promise<unknown[]> {
  const entries = await client.xrangeBuffer(stream, "-", "+");
  return entries.map(([, fields]) => fields);
}

describe("streamSource", () => {
  it.each(["script", "multi"] as const)(
    "copies a stream to another server, whatever its entries hold, byte for byte, publish: %s",
    async (publish) => {
      await here.client.xadd(stream, "1-0", "event", '{"n": 1}');
      await here.client.xadd(stream, "2-0", "user", "7", "action", "log in", "user", "twice");
      await here.client.xadd(stream, "3-0", "avro", randomBytes(300), "event", "last");
      await here.client.xadd(stream, "4-0", randomBytes(8), "");

      await copyTo("4-0", publish);

      expect(await contents(there)).toEqual(await contents(here));
    },
  );

  it("brings its positions to a sink that is told of its entries alone", async () => {
    const copy = () =>
      redisSink({ id: "copy", uri: there.uri, stream, event: entryCopies.event, batch: { maxEvents: 100 } });
    const copyUpTo = (entryId: string) =>
      lastValueFrom(
        replicate({ source: source(), sink: copy() }).pipe(
          takeWhile(({ position }) => position !== entryId, true),
        ),
      );
    const stored = () => there.client.hget(`{${stream}}:rxadd:copy`, "position");
    await add(1, 1000);
    await copyUpTo("1000-0");
    expect(await stored()).toBe("1000-0");
    // As it was written before the source brought them.
    await there.client.hset(`{${stream}}:rxadd:copy`, "position", '"1000-0"');
    await add(1001, 1500);

    await copyUpTo("1500-0");

    expect(await stored()).toBe("1500-0");
    expect(await contents(there)).toEqual(await contents(here));
  });

  it("goes on after the last entry that stands in the target, and adds none twice", async () => {
    await add(1, 1000);
    await copyTo("1000-0");
    await add(1001, 1500);

    const { position } = await copyTo("1500-0");

    expect(position).toBe("1500-0");
    expect(await contents(there)).toEqual(await contents(here));
  });

  it("follows a stream that grows", async () => {
    const copying = copyTo("300-0");
    for (let n = 1; n <= 300; n += 30) await add(n, n + 29);
    await copying;

    expect(await contents(there)).toEqual(await contents(here));
  });

  it("reads on only as the sink takes what it has read", async () => {
    await add(1, 1000);
    const flow = new Subject<"pause" | "resume">();
    let read = 0;
    const reading = source({ count: 10 })(undefined, flow)
      .pipe(
        tap(() => {
          read += 1;
          if (read === 10) flow.next("pause");
        }),
      )
      .subscribe();
    await expect.poll(() => read).toBe(10);
    await here.client.ping();

    expect(read).toBe(10);
    reading.unsubscribe();
  });

  it.each([1, 3, 300])(
    "never overflows a sink with a buffer of %d events, however much one read brings",
    async (maxEvents) => {
      await add(1, 1000);
      const buffer = { maxEvents };

      const { position } = await lastValueFrom(
        replicate({
          source: source({ count: 1000 }),
          sink: redisSink({ id: "copy", uri: there.uri, stream, buffer, ...entryCopies }),
        }).pipe(takeWhile(({ position }) => position !== "1000-0", true)),
      );

      expect(position).toBe("1000-0");
      expect(await contents(there)).toEqual(await contents(here));
    },
  );

  it("tells of entries that were trimmed before it could read them", async () => {
    await add(1, 10);
    await copyTo("10-0");
    await add(11, 20);
    await here.client.xtrim(stream, "MAXLEN", 5);
    const { status, first } = watched();

    const copying = replicate({ source: source({ status }), sink: sink() }).subscribe();
    onTestFinished(() => copying.unsubscribe());

    expect(await first("gap")).toMatchObject({ stream, after: "10-0", before: "16-0" });
  });

  it("emits what stands after a position", async () => {
    await add(1, 5);

    const entries = await lastValueFrom(source()("3-0", new Subject()).pipe(take(2), toArray()));

    expect(entries.map(({ entryId }) => entryId)).toEqual(["4-0", "5-0"]);
  });

  it("orders entry IDs by their numbers, not as text", async () => {
    await add(9, 11);

    expect(await firstValueFrom(source()("9-0", new Subject()))).toMatchObject({
      entryId: "10-0",
    });
  });

  it("refuses options that cannot be", () => {
    expect(() => source({ stream: "" })).toThrow(/stream: found/);
  });
});

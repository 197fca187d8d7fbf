import { lastValueFrom, map, of, range } from "rxjs";
import { describe, expect, it } from "vitest";
import { redisSink, type SinkOptions, type TrimOptions } from "../../src/index.ts";
import { Skipped } from "../../src/pipeline/keepPositions.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

interface Numbered {
  readonly position: number;
}

const stream = "orders.events";

const redis = emptyRedis();

function sink(settings: Partial<SinkOptions<Numbered, number>>) {
  return redisSink<Numbered, number>({
    id: "orders-redis",
    uri: redis.uri,
    stream,
    batch: { maxEvents: 100 },
    ...settings,
  });
}

function publish(
  events: number,
  settings: Partial<SinkOptions<Numbered, number>>,
  first = 1,
): Promise<unknown> {
  return lastValueFrom(
    range(first, events).pipe(
      map((position) => ({ position })),
      sink(settings),
    ),
  );
}

/** The numbers of the events that stand in a stream. */
async function standing(key = stream): Promise<number[]> {
  return (await redis.client.xrange(key, "-", "+")).map(([, fields]) => JSON.parse(fields[1] ?? "").position);
}

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

describe.each(["script", "multi"] as const)("trim with publish: %s", (form) => {
  it("keeps exactly so many entries after each batch", async () => {
    await publish(1000, { publish: form, trim: { maxLen: 50, approximate: false } });

    expect(await standing()).toEqual(numbers(951, 1000));
  });

  it("removes whole nodes only by default, and keeps at least so many", async () => {
    await publish(1000, { publish: form, trim: { maxLen: 50 } });

    const left = await redis.client.xlen(stream);
    expect(left).toBeGreaterThanOrEqual(50);
    expect(left).toBeLessThan(250);
  });

  it("removes what is older than an entry ID", async () => {
    await redis.client.xadd(stream, "5-0", "event", '{"position":-2}');
    await redis.client.xadd(stream, "7-0", "event", '{"position":-1}');

    await publish(2, { publish: form, trim: { minId: "6", approximate: false } });

    expect(await standing()).toEqual([-1, 1, 2]);
  });

  it("goes on after everything has been trimmed, without a duplicate", async () => {
    const settings = { publish: form, trim: { minId: "9999999999999", approximate: false } };
    await publish(10, settings);
    await publish(20, settings);
    expect(await standing()).toEqual([]);

    await publish(20, { publish: form });
    expect(await standing()).toEqual([]);
    await publish(1, { publish: form }, 21);
    expect(await standing()).toEqual([21]);
  });

  it("publishes dead letters, and goes past what is filtered out, where there is no stream yet", async () => {
    const settings = { publish: form, trim: form === "script" ? { acknowledged: true } : { maxLen: 5 } };
    const poison = () => {
      throw new Error("poison");
    };

    await lastValueFrom(of(new Skipped(1, undefined)).pipe(sink(settings)));
    await publish(1, { ...settings, event: { encode: poison }, deadLetters: { stream: "orders.dead" } }, 2);
    await publish(1, settings, 3);

    expect(await redis.client.xlen("orders.dead")).toBe(1);
    expect(await standing()).toEqual([3]);
  });

  it("trims each of several streams, and not that of the dead letters", async () => {
    const poison = (event: Numbered) => {
      if (event.position % 10 === 0) throw new Error("poison");
      return JSON.stringify(event);
    };

    await publish(100, {
      publish: form,
      stream: ({ position }) => `cdc.${position % 2}`,
      event: { encode: poison },
      deadLetters: { stream: "cdc.dead" },
      trim: { maxLen: 5, approximate: false },
    });

    expect(await standing("cdc.0")).toEqual([88, 92, 94, 96, 98]);
    expect(await standing("cdc.1")).toEqual([91, 93, 95, 97, 99]);
    expect(await redis.client.xlen("cdc.dead")).toBe(10);
  });
});

describe.each(["script", "multi"] as const)("trim by stream with publish: %s", (form) => {
  it("trims each stream as it is told, some not at all, and never that of the dead letters", async () => {
    const asked = new Set<string>();
    await publish(100, {
      publish: form,
      stream: ({ position }) => `cdc.${position % 3}`,
      event: {
        encode: (event) => {
          if (event.position % 10 === 0) throw new Error("poison");
          return JSON.stringify(event);
        },
      },
      deadLetters: { stream: "cdc.dead" },
      trim: (stream) => {
        asked.add(stream);
        if (stream === "cdc.2") return (asked.size % 2 === 0 ? null : undefined) as undefined;
        return { maxLen: stream === "cdc.0" ? 3 : 5, approximate: false };
      },
    });

    expect(await standing("cdc.0")).toEqual([93, 96, 99]);
    expect(await standing("cdc.1")).toEqual([85, 88, 91, 94, 97]);
    expect(await redis.client.xlen("cdc.2")).toBe(30);
    expect(await redis.client.xlen("cdc.dead")).toBe(10);
    expect([...asked].sort()).toEqual(["cdc.0", "cdc.1", "cdc.2"]);
  });

  it("goes by the word of the moment for one stream, and for one lane of many writers", async () => {
    let maxLen = 10;
    const settings = { publish: form, trim: () => ({ maxLen, approximate: false }) };
    await publish(50, settings);
    expect(await redis.client.xlen(stream)).toBe(10);

    maxLen = 4;
    await publish(1, { ...settings, writers: "many", event: { position: () => undefined } }, 51);

    expect(await standing()).toEqual(numbers(48, 51));
  });

  it.each([
    ["is a promise", () => Promise.resolve({ maxLen: 1 }), /trim of orders.events: found 0 measures/],
    ["is no answer", () => ({ maxLen: 1, minId: "7-0" }), /trim of orders.events: found 2 measures/],
    [
      "throws when it is looked at",
      () =>
        new Proxy(
          { maxLen: 1 },
          {
            ownKeys: () => {
              throw new Error("not for you");
            },
          },
        ),
      /trim of orders.events failed: not for you/,
    ],
    ["is a number", () => 5, /trim of orders.events: found a number, expected an object with options/],
    [
      "is unknown",
      () => ({ maxLength: 1 }),
      /trim of orders.events: .*maxLength: no such option; did you mean maxLen/,
    ],
    [
      "throws",
      () => {
        throw new Error("no plan for it");
      },
      /trim of orders.events failed: no plan for it/,
    ],
  ])(
    "ends with ConfigurationInvalid, and publishes nothing, where the answer %s",
    async (_case, trim, message) => {
      const published = publish(5, { publish: form, trim: trim as unknown as () => TrimOptions });

      await expect(published).rejects.toMatchObject({ _tag: "ConfigurationInvalid" });
      await expect(published).rejects.toThrow(message);
      expect(await redis.client.exists(stream)).toBe(0);
    },
  );
});

it("takes each measure for another stream of one batch", async () => {
  const [seconds] = await redis.client.time();
  const keys = ["len", "id", "age", "groups", "all"];
  for (const key of keys) {
    await redis.client.xadd(key, `${(Number(seconds) - 60) * 1000}-0`, "event", '{"position":-1}');
    await redis.client.xgroup("CREATE", key, "mail", "$");
  }
  const exactly = { approximate: false };
  const trims: Readonly<Record<string, TrimOptions>> = {
    len: { maxLen: 1, ...exactly },
    id: { minId: `${Number(seconds) * 1000}`, ...exactly },
    age: { maxAgeMs: 30_000, ...exactly },
    groups: { acknowledged: true, ...exactly },
  };

  await publish(10, { stream: ({ position }) => keys[position % 5] ?? "", trim: (key) => trims[key] });

  const left = await Promise.all(keys.map(standing));
  expect(left).toEqual([[10], [1, 6], [2, 7], [3, 8], [-1, 4, 9]]);
});

it("refuses a measure that needs a script, by stream, where scripts are forbidden", async () => {
  const published = publish(1, { publish: "multi", trim: () => ({ maxAgeMs: 5 }) });

  await expect(published).rejects.toThrow(/trim: found maxAgeMs or acknowledged with publish: 'multi'/);
});

describe("trim by age", () => {
  it("removes what is older than that by the server's clock", async () => {
    const [seconds] = await redis.client.time();
    const old = (Number(seconds) - 60) * 1000;
    await redis.client.xadd(stream, `${old - 1000}-0`, "event", '{"position":-2}');
    await redis.client.xadd(stream, `${old + 30_000}-0`, "event", '{"position":-1}');

    await publish(2, { trim: { maxAgeMs: 60_000, approximate: false } });

    expect(await standing()).toEqual([-1, 1, 2]);
  });
});

describe("trim by what is acknowledged", () => {
  const trim = { acknowledged: true, approximate: false };

  it("removes nothing while no group reads the stream", async () => {
    await publish(100, { trim });

    expect(await standing()).toEqual(numbers(1, 100));
  });

  it("keeps what the slowest group has not read, and what is pending", async () => {
    await publish(100, { trim });
    await redis.client.xgroup("CREATE", stream, "fast", "0");
    await redis.client.xgroup("CREATE", stream, "slow", "0");
    await redis.client.xreadgroup("GROUP", "fast", "a", "COUNT", 100, "STREAMS", stream, ">");
    const read = await redis.client.xreadgroup("GROUP", "slow", "a", "COUNT", 60, "STREAMS", stream, ">");
    const [[, entries] = []] = read as [string, [string, string[]][]][];
    const ids = (entries ?? []).map(([id]) => id);
    for (const [id] of await redis.client.xrange(stream, "-", "+"))
      await redis.client.xack(stream, "fast", id);
    await redis.client.xack(stream, "slow", ...ids.slice(0, 40), ...ids.slice(45));

    await publish(1, { trim }, 101);

    expect(await standing()).toEqual(numbers(41, 101));
  });

  it("removes all that was there before where every group has acknowledged everything", async () => {
    await publish(10, { trim });
    await redis.client.xgroup("CREATE", stream, "mail", "$");

    await publish(5, { trim }, 11);

    expect(await standing()).toEqual(numbers(11, 15));
  });
});

describe("trim without the right to", () => {
  it.each([
    ["maxLen", { maxLen: 5 }, []],
    ["acknowledged", { acknowledged: true }, ["+xtrim"]],
  ])("publishes nothing: %s", async (_case, trim, rules) => {
    const rights = ["+@all", "-xtrim", "-xinfo", "-xpending", ...rules];
    await redis.client.call("ACL", "SETUSER", "producer", "reset", "on", ">password", "~*", ...rights);
    const uri = redis.uri.replace("://", "://producer:password@");

    await expect(publish(5, { uri, trim })).rejects.toMatchObject({ _tag: "PermissionDenied" });

    expect(await redis.client.exists(stream)).toBe(0);
  });
});

describe("trim that cannot be", () => {
  it.each([
    [{}, /trim: found 0 measures, expected exactly one/],
    [{ maxLen: 5, minId: "7-0" }, /trim: found 2 measures, expected exactly one/],
    [{ maxLen: 0 }, /trim.maxLen: found 0, expected a whole number from 1 to/],
    // Redis would find out when the entries are there.
    [{ maxLen: 1e21 }, /trim.maxLen: found 1e\+21, expected a whole number from 1 to/],
    [{ minId: "yesterday" }, /trim.minId: found yesterday, expected an entry ID/],
    [{ maxAgeMs: -1 }, /trim.maxAgeMs: found -1/],
  ])("is refused at once: %o", (trim, message) => {
    expect(() => sink({ trim: trim as TrimOptions })).toThrow(message);
  });

  it("is refused by the compiler, too", () => {
    // @ts-expect-error it goes by one of them
    expect(() => sink({ trim: { maxLen: 5, minId: "7-0" } })).toThrow(/found 2 measures/);
    // @ts-expect-error
    expect(() => sink({ trim: { maxAgeMs: 5, acknowledged: true } })).toThrow(/found 2 measures/);
    // @ts-expect-error
    expect(() => sink({ trim: { approximate: false } })).toThrow(/found 0 measures/);
    expect(() => sink({ trim: { maxLen: 5, acknowledged: false, minId: undefined } })).not.toThrow();
  });

  it("is refused where it needs a script and scripts are forbidden", async () => {
    await expect(publish(1, { publish: "multi", trim: { maxAgeMs: 5 } })).rejects.toThrow(
      /trim: found maxAgeMs or acknowledged with publish: 'multi'/,
    );
  });
});

import { type ChangeEvent, type Row, redisSink } from "rxadd";
import { firstValueFrom, lastValueFrom, of } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  cachedProducts,
  cacheInvalidation,
  type Product,
} from "../../examples/cacheInvalidation/cacheInvalidation.ts";
import { program } from "../kit/program/cli.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

const redis = emptyRedis();

/** A database with one product; its changes are published. */
function database(name: string) {
  let row = { id: 1, name };
  let version = 0;
  return {
    read: async (): Promise<Product> => row,
    rename: async (name: string): Promise<void> => {
      version += 1;
      const [before, after] = [row, { ...row, name }];
      row = after;
      const origin = { op: "u", ts_ms: 0, source: { table: "products" } } as const;
      const change: ChangeEvent<Row, number> = {
        ...origin,
        id: `${version}`,
        before,
        after,
        position: version,
      };
      const sink = redisSink<typeof change>({ id: "products", uri: redis.uri, stream: "products.events" });
      await lastValueFrom(of(change).pipe(sink));
    },
  };
}

/** Reads the product as the application does. */
async function nameOf(read: () => Promise<Product>): Promise<string> {
  const { name } = await firstValueFrom(cachedProducts(redis.client, read)(1));
  return name;
}

/** Resolves when the next change has taken its product out of the cache. */
function invalidated(): Promise<number> {
  return firstValueFrom(cacheInvalidation(redis.uri));
}

const unavailable = async (): Promise<Product> => {
  throw new Error("the database was asked");
};

describe("cache invalidation", () => {
  it("asks the database only once", async () => {
    expect(await nameOf(database("tea").read)).toBe("tea");

    expect(await nameOf(unavailable)).toBe("tea");
  });

  it("serves no stale product after its change", async () => {
    const { read, rename } = database("tea");
    await nameOf(read);

    await rename("green tea");
    expect(await invalidated()).toBe(1);

    expect(await nameOf(read)).toBe("green tea");
  });

  it("keeps nothing that was read before a change, and comes back after it", async () => {
    const { read, rename } = database("tea");
    const slow = async () => {
      const old = await read();
      await rename("green tea");
      await invalidated();
      return old;
    };

    expect(await nameOf(slow)).toBe("tea");

    expect(await nameOf(read)).toBe("green tea");
  });

  it("keeps products again once the mark of the change is gone", async () => {
    const { read, rename } = database("tea");
    await rename("green tea");
    await invalidated();
    const [key = ""] = await redis.client.keys("*:cached:1");
    expect(await redis.client.ttl(key)).toBeGreaterThan(5);
    await redis.client.del(key);

    await nameOf(read);

    expect(await nameOf(unavailable)).toBe("green tea");
  });

  it("makes up for changes that came while it was not running", async () => {
    const { read, rename } = database("tea");
    await nameOf(read);
    await rename("green tea");
    await rename("black tea");

    await invalidated();

    expect(await nameOf(read)).toBe("black tea");
  });

  it("runs as a program until it is told to stop", async () => {
    const args = ["--import", "tsx", "examples/cacheInvalidation/cacheInvalidation.ts"];
    const run = program(args, "", { REDIS_URI: redis.uri });
    onTestFinished(() => void run.child.kill("SIGKILL"));
    await database("tea").rename("green tea");
    await run.says("product 1 has changed");

    run.child.kill("SIGINT");

    expect(await run.ended).toBe(0);
    expect((await redis.client.xpending("products.events", "cache"))[0]).toBe(0);
  });
});

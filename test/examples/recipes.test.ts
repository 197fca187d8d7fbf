import { once } from "node:events";
import type { Server } from "node:http";
import { Readable } from "node:stream";
import { createHTTPServer } from "@trpc/server/adapters/standalone";
import { type Publisher, publisher, redisSink } from "rxadd";
import { BehaviorSubject, lastValueFrom, Subject, toArray } from "rxjs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { shop as express } from "../../examples/recipes/express.ts";
import { shop as fastify } from "../../examples/recipes/fastify.ts";
import { feed } from "../../examples/recipes/feed.ts";
import { mailer, orders as ordersWithFields } from "../../examples/recipes/flatFields.ts";
import { mailer as ofTenants } from "../../examples/recipes/tenants.ts";
import { shop as trpc } from "../../examples/recipes/trpc.ts";
import { readEvents } from "../kit/load/tally.ts";
import { startProxy, type TcpProxy } from "../kit/network/tcpProxy.ts";
import { program, type Run } from "../kit/program/cli.ts";
import { firstOf, type ServerSentEvent, serverSentEvents } from "../kit/program/serverSentEvents.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { freePort } from "../kit/servers/freePort.ts";

const redis = emptyRedis();
const stream = "orders.events";

/** Publishes orders of tea with these IDs. */
async function order(...ids: readonly number[]): Promise<void> {
  const shop = publisher(redisSink<object>({ id: "test", uri: redis.uri, stream }));
  await shop.publishAll(ids.map((id) => ({ id: `${id}`, item: "tea" })));
  await shop.close();
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);
/** The IDs of the orders that were told. */
const idsOf = (told: readonly ServerSentEvent[]) =>
  told.map(({ data }) => Number((data as { readonly id: string }).id));

/** A proxy in front of Redis that ends with the test. */
async function proxied(): Promise<TcpProxy> {
  const proxy = await startProxy(redis.port);
  onTestFinished(() => proxy.stop());
  return proxy;
}

async function listening(server: Server): Promise<string> {
  if (!server.listening) await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return `http://127.0.0.1:${address.port}`;
}

/** How many connections wait for entries. */
async function readers(): Promise<number> {
  const list = String(await redis.client.client("LIST"));
  return list.split("\n").filter((client) => /cmd=xread /.test(client)).length;
}

it("the recipe for tenants consumes the streams of those that there are, on one connection each", async () => {
  const tenants$ = new BehaviorSubject<readonly string[]>(["a", "b"]);
  const until = new Subject<void>();
  const mailed: string[] = [];
  const mail = async (tenant: string, { id }: { readonly id: string }) => void mailed.push(`${tenant}${id}`);
  const add = (tenant: string, id: number) =>
    redis.client.xadd(`orders.${tenant}`, "*", "event", JSON.stringify({ id: `${id}` }));
  const waiting = async () => {
    const list = String(await redis.client.client("LIST"));
    return list.split("\n").filter((client) => /cmd=xreadgroup /.test(client)).length;
  };
  const done = lastValueFrom(ofTenants({ connection: redis.client, tenants$, mail, until }), {
    defaultValue: undefined,
  });

  /** Which of them wait for entries, by the groups that they have made. */
  const groups = (...tenants: readonly string[]) =>
    vi.waitFor(
      () => Promise.all(tenants.map((tenant) => redis.client.xinfo("GROUPS", `orders.${tenant}`))),
      10_000,
    );

  await groups("a", "b");
  await add("a", 1);
  await add("b", 1);
  await vi.waitFor(() => expect(mailed.toSorted()).toEqual(["a1", "b1"]), 10_000);
  tenants$.next(["b", "c", "b"]);
  await groups("c");
  await vi.waitFor(
    async () => expect(await redis.client.xinfo("CONSUMERS", "orders.a", "mailer")).toEqual([]),
    10_000,
  );
  await vi.waitFor(async () => expect(await waiting()).toBe(2), 10_000);
  for (const tenant of ["a", "b", "c"]) await add(tenant, 2);
  await vi.waitFor(() => expect(mailed.slice(2).toSorted()).toEqual(["b2", "c2"]), 10_000);
  tenants$.next(["a", "b", "c"]);
  await vi.waitFor(() => expect(mailed.slice(4)).toEqual(["a2"]), 10_000);
  await vi.waitFor(async () => expect(await waiting()).toBe(3), 10_000);

  until.next();
  await done;
});

describe("the recipe for Express", () => {
  async function served(uri = redis.uri, withinMs?: number) {
    const { server, stop } = express(uri, 0, withinMs);
    const url = await listening(server);
    onTestFinished(async () => {
      await stop();
      server.closeAllConnections();
    });
    const post = (body: unknown, headers: Record<string, string> = {}) =>
      fetch(`${url}/orders`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      });
    return { server, stop, post, ready: () => fetch(`${url}/readyz`), alive: () => fetch(`${url}/healthz`) };
  }

  it("answers once the order is in the stream, under the key of the client", async () => {
    const { post, ready } = await served();

    const answer = await post({ item: "tea" }, { "idempotency-key": "a" });

    expect(answer.status).toBe(201);
    const [entry] = await redis.client.xrange(stream, "-", "+");
    expect(await answer.json()).toEqual({ id: "a", entryId: entry?.[0] });
    expect(entry?.[1]).toEqual(["event", '{"id":"a","item":"tea"}']);
    expect((await ready()).status).toBe(200);
  });

  it("publishes side by side from several instances, each ready before it has published anything", async () => {
    const instances = await Promise.all([served(), served(), served()]);
    await expect
      .poll(() => Promise.all(instances.map(async ({ ready }) => (await ready()).status)))
      .toEqual([200, 200, 200]);

    const posts = upTo(60).map((id) =>
      instances[id % 3]?.post({ item: "tea" }, { "idempotency-key": `${id}` }),
    );
    const answers = await Promise.all(posts);

    expect(answers.map((answer) => answer?.status)).toEqual(posts.map(() => 201));
    const ids = (await readEvents(redis.client, stream)).map((event) => Number(JSON.parse(event).id));
    expect(ids.sort((a, b) => a - b)).toEqual(upTo(60));
  });

  it.each([{}, null, { item: 1 }, "tea"])("refuses what is no order: %j", async (body) => {
    const { post } = await served();

    expect((await post(body)).status).toBe(400);
    expect(await redis.client.exists(stream)).toBe(0);
  });

  it("is not ready while Redis is away, and answers at its end what it has taken", async () => {
    const proxy = await proxied();
    const { server, stop, post, ready } = await served(proxy.uri);
    await post({ item: "tea" });
    await proxy.refuse();

    const answer = post({ item: "milk" });
    await expect.poll(async () => (await ready()).status).toBe(503);
    const closed = once(server, "close");
    const stopped = stop();
    await proxy.restore();

    expect((await answer).status).toBe(201);
    await Promise.all([stopped, closed]);
    expect(await redis.client.xlen(stream)).toBe(2);
  });

  it("is not alive once its sink has ended", async () => {
    const { post, ready, alive } = await served();
    await expect.poll(async () => (await ready()).status).toBe(200);
    expect((await alive()).status).toBe(200);
    await redis.client.set(stream, "no stream");

    expect((await post({ item: "tea" })).status).toBe(500);

    expect((await alive()).status).toBe(503);
    expect(await (await ready()).json()).toMatchObject({ alive: false, ready: false, state: "closed" });
  });

  it("sends away, to try again, whom it cannot answer in time", async () => {
    const said = vi.spyOn(console, "error").mockReturnValue();
    onTestFinished(() => said.mockRestore());
    const proxy = await proxied();
    const { stop, post, ready } = await served(proxy.uri, 50);
    await post({ item: "tea" });
    await proxy.refuse();

    const answer = post({ item: "milk" });
    await expect.poll(async () => (await ready()).status).toBe(503);
    await stop();

    expect((await answer).status).toBe(503);
    expect((await answer).headers.get("retry-after")).toBe("1");
    expect(said).toHaveBeenCalledWith(expect.stringContaining("found 1 event not known to be safe"));
  });

  it("is a program that ends by itself at SIGTERM", async () => {
    const port = await freePort();
    const run = started("express", port);
    await untilAnswered(`http://127.0.0.1:${port}/readyz`);

    run.child.kill("SIGTERM");

    expect(await run.ended).toBe(0);
    expect(run.stderr()).toBe("");
  });
});

describe("the recipe for Fastify", () => {
  async function served(uri = redis.uri) {
    const app = fastify(uri);
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    onTestFinished(() => app.close());
    const feed = (lastEventId?: string) =>
      fetch(`${url}/feed`, lastEventId === undefined ? {} : { headers: { "last-event-id": lastEventId } });
    return { app, feed };
  }

  it("tells a browser that comes back what it has missed, each once", async () => {
    const { feed } = await served();
    await order(...upTo(3));

    const first = await firstOf(2, serverSentEvents(await feed("0-0")));
    await order(4);
    const then = await firstOf(2, serverSentEvents(await feed(first.at(-1)?.id)));

    expect(idsOf([...first, ...then])).toEqual(upTo(4));
    await expect.poll(readers).toBe(0);
  });

  it.each([undefined, "", "yesterday", "1-99999999999999999999"])(
    "begins with what is new for a browser that names no entry but %j",
    async (lastEventId) => {
      const { feed } = await served();
      await order(1);

      const answer = await feed(lastEventId);
      await expect.poll(readers).toBe(1);
      await order(2);

      expect(idsOf(await firstOf(1, serverSentEvents(answer)))).toEqual([2]);
    },
  );

  it("misses nothing while Redis is away", async () => {
    const proxy = await proxied();
    const { feed } = await served(proxy.uri);
    await order(1);
    const told = serverSentEvents(await feed("0-0"));
    const first = await told.next();

    await proxy.refuse();
    await order(2);
    await proxy.restore();
    await order(3);

    const then = await firstOf(2, told);
    expect(idsOf([...(first.done ? [] : [first.value]), ...then])).toEqual(upTo(3));
  });

  it("ends its feeds when it ends", async () => {
    const { app, feed } = await served();
    const told = serverSentEvents(await feed());
    await expect.poll(readers).toBe(1);

    const end = told.next();
    await app.close();

    expect(await end).toEqual({ done: true, value: undefined });
    // Redis hears of it a moment later.
    await expect.poll(readers).toBe(0);
  });

  it("reads no further than its slowest browser takes", async () => {
    await order(...upTo(5_000));
    const slow = feed({ uri: redis.uri, stream, from: "0-0" });
    const told = serverSentEvents({ body: Readable.toWeb(slow) });
    const number = async () => {
      const { value } = await told.next();
      return idsOf(value === undefined ? [] : [value])[0];
    };
    expect(await number()).toBe(1);

    // What it has not read yet is lost to it.
    await redis.client.xtrim(stream, "MAXLEN", 0);
    await order(6_000);
    let taken = 1;
    while ((await number()) !== 6_000) taken += 1;
    slow.destroy();

    expect(taken).toBeLessThan(2_000);
    await expect.poll(readers).toBe(0);
  });
});

describe("the recipe for a route handler of Next.js", () => {
  async function route() {
    vi.stubEnv("REDIS_URI", redis.uri);
    // What the module keeps for the life of its process lives as long as the test.
    const keeping = globalThis as { shopOrders?: Publisher<object, unknown> };
    onTestFinished(async () => {
      vi.unstubAllEnvs();
      await keeping.shopOrders?.close();
      delete keeping.shopOrders;
    });
    const { GET, POST } = await import("../../examples/recipes/nextRoute.ts");
    const post = (body: string, headers = {}) =>
      POST(new Request("http://localhost/orders", { method: "POST", body, headers }));
    return { GET, post };
  }

  it("takes an order, and answers once it is safe", async () => {
    const { post } = await route();

    const answer = await post('{"item":"tea"}', { "idempotency-key": "a" });

    expect(answer.status).toBe(201);
    expect(await answer.json()).toMatchObject({ id: "a" });
    expect(await readEvents(redis.client, stream)).toEqual(['{"id":"a","item":"tea"}']);
  });

  it.each(["", "tea", "null", "{}", '{"item":{}}'])("refuses what is no order: %s", async (body) => {
    const { post } = await route();

    expect((await post(body)).status).toBe(400);
  });

  it("tells orders from the one that the browser has seen last, until it goes", async () => {
    const { GET } = await route();
    await order(...upTo(3));
    const [[, second] = []] = [await redis.client.xrange(stream, "-", "+")];
    const gone = new AbortController();
    const headers = { "last-event-id": second?.[0] ?? "" };

    const answer = GET(new Request("http://localhost/orders", { headers, signal: gone.signal }));
    const told = serverSentEvents(answer);
    const third = await told.next();
    gone.abort();

    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    expect(third.value).toMatchObject({ data: { id: "3" } });
    expect(await told.next()).toMatchObject({ done: true });
    await expect.poll(readers).toBe(0);
  });
});

describe("the recipe for tRPC", () => {
  it("tells a client that comes back what it has missed, and closes its connection when it goes", async () => {
    const server = createHTTPServer({ router: trpc(redis.uri) }).listen(0);
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    const url = await listening(server);
    const orders = (headers: Record<string, string>, input: object) =>
      fetch(`${url}/orders?${new URLSearchParams({ input: JSON.stringify(input) })}`, {
        headers: { accept: "text/event-stream", ...headers },
      });
    await order(...upTo(3));

    const first = await firstOf(2, serverSentEvents(await orders({}, { lastEventId: "0-0" })));
    await order(4);
    const again = await orders({ "last-event-id": first.at(-1)?.id ?? "" }, {});
    const then = await firstOf(2, serverSentEvents(again));

    expect(idsOf([...first, ...then])).toEqual(upTo(4));
    await expect.poll(readers).toBe(0);
  });
});

/** A recipe's program, which ends with the test. */
function started(name: string, port: number): Run {
  const args = ["--import", "tsx", `examples/recipes/${name}.ts`];
  const run = program(args, "", { REDIS_URI: redis.uri, PORT: `${port}` });
  onTestFinished(() => void run.child.kill("SIGKILL"));
  return run;
}

/** Asks until somebody is there and content. */
async function untilAnswered(url: string): Promise<void> {
  await expect.poll(async () => (await fetch(url).catch(() => undefined))?.status).toBe(200);
}

describe("the recipe for NestJS", () => {
  const counted = async () => Number((await redis.client.hget("{orders.events}:totals", "tea")) ?? 0);

  it("shares the work between two instances, of which one may end, and tells browsers of it", async () => {
    const ports = [await freePort(), await freePort()];
    const [one, two] = ports.map((port) => started("nestjs", port));
    const urls = ports.map((port) => `http://127.0.0.1:${port}`);
    await Promise.all(urls.map((url) => untilAnswered(`${url}/healthz`)));
    const consumers = async () => redis.client.xinfo("CONSUMERS", stream, "totals");

    // Redis knows a consumer once it has had something.
    let ordered = 0;
    const known = async () => {
      ordered += 10;
      await order(...upTo(10));
      return consumers();
    };
    await expect.poll(known).toHaveLength(2);
    await expect.poll(counted).toBe(ordered);
    const answer = await fetch(`${urls[0]}/feed`, { headers: { "last-event-id": "0-0" } });
    const told = serverSentEvents(answer);
    const first: ServerSentEvent[] = [];
    for (const _ of upTo(3)) first.push((await told.next()).value);
    one?.child.kill("SIGTERM");
    await one?.ended;
    await order(...upTo(1_000));
    await expect.poll(counted).toBe(ordered + 1_000);

    expect(await one?.ended).toBe(0);
    expect(idsOf(first)).toEqual(upTo(3));
    expect(await consumers()).toHaveLength(1);
    expect([one?.stderr(), two?.stderr()]).toEqual(["", ""]);
    expect(await redis.client.xpending(stream, "totals")).toEqual([0, null, null, null]);
  });
});

describe("the recipe for moving from flat fields", () => {
  /** Reads as programs did that knew nothing of rxadd, until it is told to stop. */
  function oldConsumer(name: string) {
    const client = redis.client.duplicate();
    onTestFinished(() => client.disconnect());
    const mailed: string[] = [];
    let isStopped = false;
    const work = async () => {
      while (!isStopped) {
        const read = await client.xreadgroup(
          ...(["GROUP", "mailer", name, "COUNT", 5, "BLOCK", 50, "STREAMS", "orders", ">"] as const),
        );
        for (const [, entries] of (read ?? []) as [string, [string, string[]][]][])
          for (const [entryId, [, type, , orderId = ""]] of entries) {
            if (type !== "OrderPlaced") throw new Error(`found ${type}`);
            mailed.push(orderId);
            await client.xack("orders", "mailer", entryId);
          }
      }
    };
    const done = work();
    const stop = async () => {
      isStopped = true;
      await done;
    };
    return { mailed, stop };
  }
  const oldOrder = (id: number) =>
    redis.client.xadd("orders", "*", "type", "OrderPlaced", "orderId", `${id}`, "item", "tea");

  it("mails each order once while producers and consumers are replaced one by one", async () => {
    await redis.client.xgroup("CREATE", "orders", "mailer", "0", "MKSTREAM");
    const [ada, bob] = [oldConsumer("ada"), oldConsumer("bob")];
    for (const id of upTo(50)) await oldOrder(id);

    const shop = ordersWithFields(redis.uri);
    onTestFinished(() => shop.close());
    const both = upTo(50).flatMap((id) => [
      shop.publish({ orderId: `${50 + id}`, item: "milk" }),
      oldOrder(100 + id),
    ]);
    await Promise.all(both);
    await bob.stop();
    const until = new Subject<void>();
    const bread: string[] = [];
    const mail = async ({ orderId }: { readonly orderId: string }) => bread.push(orderId);
    const mailing = lastValueFrom(mailer(redis.uri, mail, until).pipe(toArray()));
    for (const id of upTo(50)) await oldOrder(150 + id);
    await ada.stop();
    await shop.publishAll(upTo(50).map((id) => ({ orderId: `${200 + id}`, item: "bread" })));
    const mailed = () => [...ada.mailed, ...bob.mailed, ...bread].map(Number).sort((a, b) => a - b);
    await expect.poll(mailed).toHaveLength(250);
    until.next();
    await mailing;

    expect(mailed()).toEqual(upTo(250));
    expect(bread.length).toBeGreaterThanOrEqual(50);
    expect(await redis.client.xpending("orders", "mailer")).toEqual([0, null, null, null]);
  });
});

import { lastValueFrom, type Observable, of, Subject } from "rxjs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type Checkpoint,
  type RxaddError,
  redisSink,
  type SinkOptions,
  type SinkStatus,
} from "../../src/index.ts";
import { Skipped } from "../../src/pipeline/keepPositions.ts";
import { type RedisServer, startRedis } from "../kit/servers/redisServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

interface Numbered {
  readonly position: number;
}

let master: RedisServer;
let replica: RedisServer;
let knowsWaitAof: boolean;

beforeAll(async () => {
  [master, replica] = await Promise.all([startRedis(["--repl-diskless-sync-delay", "0"]), startRedis()]);
  await replica.client.replicaof("127.0.0.1", master.port);
  await waitUntil(async () => (await master.client.info("replication")).includes("state=online"));
  knowsWaitAof = ((await master.client.call("COMMAND", "INFO", "waitaof")) as unknown[])[0] !== null;
});
afterAll(() => Promise.all([master.stop(), replica.stop()]));
beforeEach(() => master.client.flushall());
afterEach(() => replica.signal("SIGCONT"));

/** A sink at work, and all that it has said. */
function publishing(settings: Partial<SinkOptions<Numbered, number>> = {}) {
  const events = new Subject<Numbered>();
  const checkpoints: number[] = [];
  const statuses: SinkStatus[] = [];
  const errors: RxaddError[] = [];
  const checkpoint$: Observable<Checkpoint<number>> = events.pipe(
    redisSink<Numbered, number>({
      id: "orders-redis",
      uri: master.uri,
      stream: "orders.events",
      durability: { replicas: 1, timeoutMs: 100 },
      status: { next: (status) => statuses.push(status) },
      ...settings,
    }),
  );
  const running = checkpoint$.subscribe({
    next: ({ position }) => checkpoints.push(position ?? 0),
    error: (error: RxaddError) => errors.push(error),
  });
  return {
    emit: (position: number) => events.next({ position }),
    stop: () => running.unsubscribe(),
    checkpoints,
    errors,
    waitsForReplicas: () =>
      statuses.some((status) => status.state === "retrying" && status.cause._tag === "NotEnoughReplicas"),
  };
}

describe.each(["script", "multi"] as const)("durability: { replicas: 1 } with publish: %s", (publish) => {
  it("emits a checkpoint when the replica has the batch", async () => {
    const sink = publishing({ publish });
    sink.emit(1);

    await waitUntil(() => sink.checkpoints.length > 0);

    expect(await replica.client.xlen("orders.events")).toBe(1);
    sink.stop();
  });

  it("holds the checkpoint while the replica is away, and does not send the batch again", async () => {
    const sink = publishing({ publish });
    await replica.signal("SIGSTOP");
    sink.emit(1);
    await waitUntil(sink.waitsForReplicas);
    sink.emit(2);
    await waitUntil(async () => (await master.client.xlen("orders.events")) === 2);
    expect(sink.checkpoints).toEqual([]);

    await replica.signal("SIGCONT");
    await waitUntil(() => sink.checkpoints.at(-1) === 2);

    expect(await master.client.xlen("orders.events")).toBe(2);
    sink.stop();
  });
});

describe("durability", () => {
  it("asks for a rewind when what waits for its replicas is lost", async () => {
    const sink = publishing();
    await replica.signal("SIGSTOP");
    sink.emit(1);
    await waitUntil(sink.waitsForReplicas);

    await master.client.flushall();
    await waitUntil(() => sink.errors.length > 0);

    expect(sink.errors[0]).toMatchObject({ _tag: "RewindRequired" });
    expect(sink.checkpoints).toEqual([]);
  });

  it("goes past what is filtered out, for which a user may touch no other keys", async () => {
    const rules = ["reset", "on", ">password", "+@all", "~cdc.*", "~rxadd:*"];
    await master.client.call("ACL", "SETUSER", "producer", ...rules);
    const sink = redisSink<Numbered, number>({
      id: "orders-redis",
      uri: master.uri.replace("://", "://producer:password@"),
      stream: "cdc.${table}",
      durability: { replicas: 1 },
    });

    expect(await lastValueFrom(of(new Skipped(7, undefined)).pipe(sink))).toMatchObject({ position: 7 });
  });

  it("takes one look for all batches that came meanwhile", async () => {
    const sink = publishing({ batch: { maxEvents: 1 } });
    await replica.signal("SIGSTOP");
    for (let position = 1; position <= 50; position += 1) sink.emit(position);
    await waitUntil(async () => (await master.client.xlen("orders.events")) === 50);
    await master.client.config("RESETSTAT");

    await replica.signal("SIGCONT");
    await waitUntil(() => sink.checkpoints.at(-1) === 50);

    const waits = Number(/cmdstat_wait:calls=(\d+)/.exec(await master.client.info("commandstats"))?.[1]);
    expect(waits).toBeLessThan(10);
    sink.stop();
  });

  it("with aof: holds the checkpoint until master and replica have it on disk", async ({ skip }) => {
    skip(!knowsWaitAof, "this server has no WAITAOF");
    const sink = publishing({ durability: { replicas: 1, timeoutMs: 3000, aof: true } });
    for (const { client } of [master, replica]) await client.config("SET", "appendonly", "yes");
    await replica.signal("SIGSTOP");
    sink.emit(1);
    await waitUntil(sink.waitsForReplicas);
    expect(sink.checkpoints).toEqual([]);

    await replica.signal("SIGCONT");
    await waitUntil(() => sink.checkpoints.at(-1) === 1);

    for (const { client } of [master, replica]) await client.config("SET", "appendonly", "no");
    sink.stop();
  });

  it("with aof: says which Redis it needs, where WAITAOF is missing", async ({ skip }) => {
    skip(knowsWaitAof, "this server has WAITAOF");
    const sink = publishing({ durability: { replicas: 1, aof: true } });
    sink.emit(1);

    await waitUntil(() => sink.errors.length > 0);

    expect(sink.errors[0]).toMatchObject({ _tag: "Refused" });
    expect(sink.errors[0]?.message).toContain("durability.aof needs Redis 7.2");
  });
});

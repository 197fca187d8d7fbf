import { readFileSync } from "node:fs";
import {
  type Context,
  type ContextManager,
  context,
  type HrTime,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { filter, firstValueFrom, from, lastValueFrom, map, ReplaySubject, range, Subject, take } from "rxjs";
import { afterEach, describe, expect, it } from "vitest";
import { redisSink, type SinkOptions, type SinkStatus } from "../../src/index.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { recordedSpans } from "../kit/program/recordedSpans.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { startRedis } from "../kit/servers/redisServer.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

interface Numbered {
  readonly position: number;
}

const redis = emptyRedis(["--repl-diskless-sync-delay", "0"]);

function sink(settings: Partial<SinkOptions<Numbered, number>>) {
  return redisSink<Numbered, number>({ id: "orders-redis", uri: redis.uri, stream: "orders", ...settings });
}

function numbered(from: number, count: number) {
  return range(from, count).pipe(map((position): Numbered => ({ position })));
}

/** Told what a sink is doing; remembers it. */
function watched() {
  const status = new ReplaySubject<SinkStatus>();
  const first = (state: SinkStatus["state"]) =>
    firstValueFrom(status.pipe(filter((now) => now.state === state)));
  const retries = (count: number) =>
    lastValueFrom(
      status.pipe(
        filter(({ state }) => state === "retrying"),
        take(count),
      ),
    );
  return { status, first, retries };
}

const milliseconds = ([seconds, nanoseconds]: HrTime) => seconds * 1000 + nanoseconds / 1e6;

function named(span: ReadableSpan, name: string) {
  return span.events.filter((event) => event.name === name);
}

describe("redisSink with a tracer", () => {
  it("has a span for each batch, which says what went where", async () => {
    const { tracer, ended } = recordedSpans();

    await lastValueFrom(numbered(1, 5).pipe(sink({ tracer, batch: { maxEvents: 3, lingerMs: 20 } })));

    expect(ended().map(({ attributes }) => attributes)).toEqual(
      [3, 2].map((count, index) => ({
        "messaging.system": "redis",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "orders",
        "messaging.batch.message_count": count,
        "rxadd.sink": "orders-redis",
        "rxadd.sequence": index + 1,
      })),
    );
    for (const { name, kind, status, events } of ended()) {
      expect({ name, kind, status, events }).toEqual({
        name: "rxadd publish",
        kind: SpanKind.PRODUCER,
        status: { code: SpanStatusCode.UNSET },
        events: [],
      });
    }
  });

  it("has the attributes that docs/tracing.md lists", async () => {
    const { tracer, ended } = recordedSpans();
    const { status, first } = watched();
    const events$ = new Subject<Numbered>();
    const failure = failureOf(events$.pipe(sink({ tracer, status })));
    await first("opened");
    await redis.client.set("orders", "a text");

    events$.next({ position: 1 });
    await failure;
    const page = readFileSync(new URL("../../docs/tracing.md", import.meta.url), "utf8");
    const rows = [...page.matchAll(/^\| (`(?:messaging|rxadd|error)\..*?) \|/gm)];

    expect(
      rows.flatMap(([, names = ""]) => [...names.matchAll(/`([\w.]+)`/g)].map(([, name]) => name)),
    ).toEqual(ended().flatMap(({ attributes }) => Object.keys(attributes)));
  });

  it("has no span for what is in the stream already", async () => {
    const { tracer, ended } = recordedSpans();
    await lastValueFrom(numbered(1, 3).pipe(sink({})));

    await lastValueFrom(numbered(1, 3).pipe(sink({ tracer })));

    expect(ended()).toEqual([]);
  });

  it("has one span for a batch in an outage, with each time that it is sent again", async () => {
    const proxy = await startProxy(redis.port);
    const { tracer, ended } = recordedSpans();
    const { status, first, retries } = watched();
    const events$ = new Subject<Numbered>();
    const retry = { initialMs: 30, factor: 1, jitter: 0 };
    const running = lastValueFrom(events$.pipe(sink({ uri: proxy.uri, tracer, status, retry })));
    await first("opened");

    await proxy.refuse();
    events$.next({ position: 1 });
    await retries(3);
    const beforeEnd = ended();
    await proxy.restore();
    events$.complete();
    await running;
    await proxy.stop();

    expect(beforeEnd).toEqual([]);
    expect(ended()).toHaveLength(1);
    for (const span of ended()) {
      const [firstRetry] = named(span, "retry");
      expect(firstRetry?.attributes).toEqual({
        "rxadd.attempt": 1,
        "rxadd.delay_ms": 30,
        "error.type": expect.stringMatching(/Unreachable|ConnectionLost/),
        "error.message": expect.stringContaining(proxy.uri),
      });
      expect(named(span, "retry").length).toBeGreaterThanOrEqual(3);
      expect(milliseconds(span.duration)).toBeGreaterThan(60);
      expect(span.status.code).toBe(SpanStatusCode.UNSET);
    }
  });

  it("ends the spans of all that was in flight with the error with which it ends", async () => {
    const { tracer, ended } = recordedSpans();
    const { status, first } = watched();
    const events$ = new Subject<Numbered>();
    const failure = failureOf(events$.pipe(sink({ tracer, status, batch: { maxEvents: 1 } })));
    await first("opened");
    await redis.client.set("orders", "a text");

    events$.next({ position: 1 });
    events$.next({ position: 2 });
    const { message } = await failure;

    expect(ended().map(({ attributes }) => attributes["rxadd.sequence"])).toEqual([1, 2]);
    for (const span of ended()) {
      expect(span.status).toEqual({ code: SpanStatusCode.ERROR, message });
      expect(span.attributes["error.type"]).toBe("WrongType");
      expect(named(span, "exception").map(({ attributes }) => attributes)).toEqual([
        {
          "exception.type": "WrongType",
          "exception.message": message,
          "exception.stacktrace": expect.stringContaining("at "),
        },
      ]);
    }
  });

  it("ends the span of a batch that Redis has not acknowledged when it is unsubscribed, without an error", async () => {
    const { tracer, ended } = recordedSpans();
    const proxy = await startProxy(redis.port);
    const { status, first } = watched();
    const events$ = new Subject<Numbered>();
    const running = events$.pipe(sink({ uri: proxy.uri, tracer, status })).subscribe();
    await first("opened");

    proxy.dropReplies();
    events$.next({ position: 1 });
    await waitUntil(async () => (await redis.client.xlen("orders")) === 1);
    running.unsubscribe();
    await proxy.stop();

    expect(ended().map(({ status, events }) => [status.code, events.map(({ name }) => name)])).toEqual([
      [SpanStatusCode.UNSET, ["unsubscribed"]],
    ]);
  });

  it("lasts until a batch is durable", async () => {
    const replica = await startRedis();
    const { tracer, ended } = recordedSpans();
    const { status, retries } = watched();
    const retry = { initialMs: 20, factor: 1 };
    const durability = { replicas: 1, timeoutMs: 20 };
    const running = lastValueFrom(numbered(1, 1).pipe(sink({ tracer, status, retry, durability })));

    await retries(1);
    const published = await redis.client.xlen("orders");
    const beforeReplica = ended();
    await replica.client.replicaof("127.0.0.1", redis.port);
    await running;
    await replica.stop();

    expect([published, beforeReplica]).toEqual([1, []]);
    expect(ended()).toHaveLength(1);
    for (const span of ended()) {
      expect(named(span, "retry")[0]?.attributes).toMatchObject({ "error.type": "NotEnoughReplicas" });
    }
  });

  it("names the stream that all of a batch goes to; where there are several, what they are computed from", async () => {
    const { tracer, ended } = recordedSpans();
    const events = ["a", "a", "b", "c"].map((table, index) => ({ position: index + 1, table }));
    const computed = redisSink<{ readonly position: number; readonly table: string }, number>({
      ...{ id: "orders-redis", uri: redis.uri, stream: "cdc.${table}", tracer },
      batch: { maxEvents: 2, lingerMs: 20 },
    });

    await lastValueFrom(from(events).pipe(computed));

    expect(ended().map(({ attributes }) => attributes["messaging.destination.name"])).toEqual([
      "cdc.a",
      "cdc.${table}",
    ]);
  });

  it("counts dead letters among the messages, and names the stream of the others", async () => {
    const { tracer, ended } = recordedSpans();
    const encode = ({ position }: Numbered) => {
      if (position === 2) throw new Error("no JSON");
      return `${position}`;
    };

    await lastValueFrom(
      numbered(1, 3).pipe(
        sink({ tracer, batch: { lingerMs: 20 }, event: { encode }, deadLetters: { stream: "orders.dead" } }),
      ),
    );

    expect(ended().map(({ attributes }) => attributes)).toMatchObject([
      { "messaging.destination.name": "orders", "messaging.batch.message_count": 3 },
    ]);
  });
});

describe("redisSink with a tracer, within another span", () => {
  afterEach(() => context.disable());

  /** Makes a context the active one everywhere. */
  function activate(active: Context): void {
    const manager: ContextManager = {
      active: () => active,
      with: (_, run, self, ...args) => run.call(self, ...args),
      bind: (_, target) => target,
      enable: () => manager,
      disable: () => manager,
    };
    context.setGlobalContextManager(manager);
  }

  it("has spans of their own traces", async () => {
    const { tracer, ended } = recordedSpans();
    activate(trace.setSpan(context.active(), tracer.startSpan("job")));

    await lastValueFrom(numbered(1, 1).pipe(sink({ tracer })));

    expect(ended().map(({ parentSpanContext }) => parentSpanContext)).toEqual([undefined]);
  });

  it("has child spans where the tracer is told so", async () => {
    const { tracer, ended } = recordedSpans();
    const job = tracer.startSpan("job");
    const parent = trace.setSpan(context.active(), job);

    await lastValueFrom(
      numbered(1, 1).pipe(
        sink({
          tracer: {
            startSpan: (name, options) => tracer.startSpan(name, { ...options, root: false }, parent),
          },
        }),
      ),
    );

    expect(ended().map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([
      job.spanContext().spanId,
    ]);
  });
});

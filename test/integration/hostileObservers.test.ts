import { filter, firstValueFrom, from, lastValueFrom, NEVER, of, Subject, throwError, toArray } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type Flow,
  fromIterable,
  redisSink,
  replicate,
  type SinkSettings,
  type SinkStatus,
  statusLogger,
} from "../../src/index.ts";
import { health, sinkMetrics } from "../../src/metrics/index.ts";
import { failureOf } from "../kit/program/failureOf.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

interface Numbered {
  readonly position: number;
}

const redis = emptyRedis();

function thrower(): never {
  throw new Error("boom");
}

function sink(settings: Partial<SinkSettings<Numbered, number>>) {
  return redisSink<Numbered, number>({ id: "x", uri: redis.uri, stream: "orders", ...settings });
}

const events = Array.from({ length: 20 }, (_, index) => ({ position: index + 1 }));

/** What Node is told, of this package, while the test runs. */
function warningsOfNode(): string[] {
  const messages: string[] = [];
  const listen = (warning: Error) => warning.name === "RxaddWarning" && messages.push(warning.message);
  process.on("warning", listen);
  onTestFinished(() => void process.off("warning", listen));
  return messages;
}

async function expectNoConnection(): Promise<void> {
  await expect.poll(async () => `${await redis.client.client("LIST")}`).not.toContain("name=rxadd:x");
}

describe("an observer that throws", () => {
  const metrics = { published: () => {}, buffered: () => {}, status: () => {}, checkpoint: () => {} };
  const cases: readonly (readonly [string, string, Partial<SinkSettings<Numbered, number>>])[] = [
    ["metrics", "published", { metrics: { ...metrics, published: thrower } }],
    ["metrics", "buffered", { metrics: { ...metrics, buffered: thrower } }],
    ["metrics", "status", { metrics: { ...metrics, status: thrower } }],
    ["metrics", "checkpoint", { metrics: { ...metrics, checkpoint: thrower } }],
    ["tracer", "startSpan", { tracer: { startSpan: thrower } }],
    [
      "tracer",
      "a span",
      {
        tracer: {
          startSpan: () => ({
            setAttribute: thrower,
            addEvent: thrower,
            recordException: thrower,
            setStatus: thrower,
            end: thrower,
          }),
        },
      },
    ],
  ];

  it.each(cases)(
    "keeps nothing from being published, and is told once: %s, %s",
    async (name, _what, settings) => {
      const warnings = warningsOfNode();
      const statuses: SinkStatus[] = [];
      const status = { next: (status: SinkStatus) => statuses.push(status) };

      const checkpoints = await lastValueFrom(
        from(events).pipe(sink({ batch: { maxEvents: 5 }, status, ...settings }), toArray()),
      );

      expect(checkpoints.at(-1)?.position).toBe(20);
      expect(await redis.client.xlen("orders")).toBe(20);
      expect(statuses.filter(({ state }) => state === "warning")).toEqual([
        { state: "warning", message: expect.stringContaining(`${name} threw: boom`) },
      ]);
      await expect
        .poll(() => warnings)
        .toEqual([expect.stringContaining(`redisSink x: ${name} threw: boom`)]);
      await expectNoConnection();
    },
  );

  it("is told to Node when it is the status, and the metrics hear of all", async () => {
    const warnings = warningsOfNode();
    const states: string[] = [];
    const heard = { ...metrics, status: ({ state }: SinkStatus) => states.push(state) };

    await lastValueFrom(from(events).pipe(sink({ status: { next: thrower }, metrics: heard })));

    expect(states.filter((state) => state !== "warning")).toEqual([
      "connecting",
      "opened",
      "publishing",
      "closed",
    ]);
    await expect.poll(() => warnings).toHaveLength(1);
  });

  it("keeps nothing from the other observers", async () => {
    const lines: string[] = [];
    const log = (_: unknown, message: string) => lines.push(message);
    const healthy = health();
    const counts = sinkMetrics({ pipeline: "shop", sink: "x" });
    const observers = [
      { status: thrower, published: thrower, buffered: thrower, checkpoint: thrower },
      statusLogger({ info: log, warn: log, error: log }),
      counts,
      healthy,
    ];

    await lastValueFrom(from(events).pipe(sink({ observers })));

    expect(lines).toContain(
      "observers[0] threw: boom; it goes on being told, and no more is said of its errors",
    );
    expect(lines.at(-1)).toBe("closed");
    expect(healthy.now()).toEqual({ alive: true, ready: false, state: "closed" });
    expect(await counts.registry.metrics()).toMatch(/deltaforge_sink_events_total\{.*\} 20/);
  });

  it("is refused where it hears of nothing", () => {
    const observers = { publised: () => {} } as object;

    expect(() => sink({ observers })).toThrow(
      "redisSink: observers: found an object, expected an observer, with a function status, published, buffered or checkpoint",
    );
  });

  it("leaves no connection behind when it throws at the very end", async () => {
    const opened$ = new Subject<SinkStatus>();
    const status = {
      next: (status: SinkStatus) => {
        opened$.next(status);
        if (status.state === "closed") thrower();
      },
    };
    const opened = firstValueFrom(opened$.pipe(filter(({ state }) => state === "opened")));
    const running = NEVER.pipe(sink({ status })).subscribe();
    await opened;

    running.unsubscribe();

    await expectNoConnection();
  });

  it("does not keep the source from being paused", async () => {
    const signals: Flow[] = [];
    const seen = {
      next: (signal: Flow) => {
        signals.push(signal);
        thrower();
      },
    };
    const settings = { flow: seen, buffer: { maxEvents: 8 }, batch: { maxEvents: 2 } };

    const checkpoint = await lastValueFrom(
      sink(settings).resuming((_from, flow) => fromIterable(events, flow)),
    );

    expect(checkpoint.position).toBe(20);
    expect(signals).toContain("pause");
  });

  it("does no harm to the others when it came later", async () => {
    const states: string[] = [];
    const watched = sink({ status: { next: ({ state }) => states.push(state) } });
    watched.watch({ published: thrower, buffered: thrower, status: thrower });
    watched.watch({ ...metrics, status: ({ state }) => states.push(`${state} too`) });

    await lastValueFrom(from(events).pipe(watched));

    expect(states).toContain("publishing too");
    expect(states.at(-1)).toBe("closed too");
  });
});

describe("a sink that ends", () => {
  function told() {
    const statuses: SinkStatus[] = [];
    return { statuses, status: { next: (status: SinkStatus) => statuses.push(status) } };
  }

  it("says that it is closed when a certificate cannot be read", async () => {
    const { statuses, status } = told();

    const error = await failureOf(of(...events).pipe(sink({ status, tls: { ca: "/no/such.pem" } })));

    expect(error._tag).toBe("ConfigurationInvalid");
    expect(statuses.map(({ state }) => state)).toEqual(["connecting", "closed"]);
  });

  it("leaves no connection behind when its source cannot even be opened", async () => {
    const failure = lastValueFrom(sink({ partitions: 2, key: "k" }).resuming(thrower));
    await expect(failure).rejects.toThrow("boom");
    await expectNoConnection();
  });

  /** Goes as far as to lose what it has acknowledged. */
  async function replicateAndLose(retry: Parameters<typeof replicate>[0]["retry"]) {
    const { statuses, status } = told();
    const status$ = new Subject<SinkStatus>();
    status$.subscribe(status);
    const live = new Subject<Numbered>();
    const until = (state: SinkStatus["state"]) =>
      firstValueFrom(status$.pipe(filter((now) => now.state === state)));
    const [opened, publishing, rewound] = [until("opened"), until("publishing"), until("rewound")];
    const ended = new Subject<unknown>();
    const end = firstValueFrom(ended);
    const running = replicate<Numbered, number>({
      source: () => live,
      sink: sink({ status: status$ }),
      retry: retry ?? {},
    }).subscribe({ error: (error) => ended.next(error) });
    await opened;
    live.next({ position: 1 });
    await publishing;
    await redis.client.flushall();
    live.next({ position: 2 });
    await rewound;
    return { statuses, running, end };
  }

  it("says that it is closed when nobody goes on after it was rewound", async () => {
    const { statuses, end } = await replicateAndLose({ maxRetries: 0 });

    expect(await end).toMatchObject({ _tag: "RewindRequired" });
    expect(statuses.slice(-2)).toMatchObject([
      { state: "rewound" },
      { state: "closed", cause: { _tag: "RewindRequired" } },
    ]);
  });

  it("says that it is closed when it is unsubscribed while it waits to go back", async () => {
    const { statuses, running } = await replicateAndLose({ initialMs: 60_000, maxMs: 60_000 });

    running.unsubscribe();

    expect(statuses.at(-1)).toMatchObject({ state: "closed" });
  });

  it("is closed once when several end together", async () => {
    const { statuses, status } = told();

    await expect(
      lastValueFrom(throwError(() => new Error("source")).pipe(sink({ status }))),
    ).rejects.toThrow();

    expect(statuses.filter(({ state }) => state === "closed")).toHaveLength(1);
  });
});

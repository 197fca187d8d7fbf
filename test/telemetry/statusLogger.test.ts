import { readFileSync } from "node:fs";
import { pino } from "pino";
import { firstValueFrom, lastValueFrom, ReplaySubject, Subject } from "rxjs";
import { describe, expect, it } from "vitest";
import { acknowledge, type ConsumerStatus, groupDeliveries } from "../../src/consumer.ts";
import { rxaddError } from "../../src/errors/rxaddError.ts";
import { redisSink, type SinkStatus, statusLogger } from "../../src/index.ts";
import { consumerStates, sinkStates } from "../../src/telemetry/states.ts";
import { startProxy } from "../kit/network/tcpProxy.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";

type LogRecord = Readonly<{ level: number; msg: string; state: string; [field: string]: unknown }>;

/** A pino that writes its lines into a stream of records. */
function logged(level = "debug") {
  const records$ = new ReplaySubject<LogRecord>();
  const all: LogRecord[] = [];
  records$.subscribe((record) => all.push(record));
  const logger = pino({ level, base: null }, { write: (line) => records$.next(JSON.parse(line)) });
  const said = (message: RegExp) =>
    new Promise<LogRecord>((found) => {
      records$.subscribe((record) => message.test(record.msg) && found(record));
    });
  return { logger, all, said };
}

const unreachable = rxaddError("Unreachable", "redis://h: connect ECONNREFUSED");
const setAside = rxaddError("EventTooLarge", "found 9 MB");
const entry = { stream: "orders", entryId: "5-0" };

type Case<S> = readonly [state: string, level: string, message: string, status: S];

const ofSinks: readonly Case<SinkStatus>[] = [
  ["connecting", "info", "connecting", { state: "connecting" }],
  [
    "opened",
    "info",
    "orders: publishing after position 41, epoch 2; it holds 3 entries of others",
    { state: "opened", stream: "orders", epoch: 2, position: 41, foreignEntries: 3 },
  ],
  ["publishing", "info", "publishing", { state: "publishing" }],
  [
    "paused",
    "debug",
    "paused the source: 9 events, 512 bytes are waiting",
    { state: "paused", events: 9, bytes: 512 },
  ],
  ["resumed", "debug", "resumed the source", { state: "resumed" }],
  [
    "retrying",
    "warn",
    "attempt 3 failed, trying again in 400 ms: redis://h: connect ECONNREFUSED",
    { state: "retrying", attempt: 3, delayMs: 400.4, cause: unreachable },
  ],
  [
    "rewound",
    "warn",
    "going back: redis://h: connect ECONNREFUSED",
    { state: "rewound", cause: unreachable },
  ],
  ["warning", "warn", "keys are evicted", { state: "warning", message: "keys are evicted" }],
  [
    "deadLetter",
    "error",
    "set aside at position 7: found 9 MB",
    { state: "deadLetter", id: "o7", position: 7, cause: setAside },
  ],
  [
    "replayed",
    "info",
    "orders: left out 2 events up to position 41, which it holds already",
    { state: "replayed", stream: "orders", events: 2, position: 41 },
  ],
  [
    "lost",
    "error",
    "orders: Redis has lost 2 acknowledged events of this run, and nobody can send them again; goes on with what is still held",
    { state: "lost", stream: "orders", events: 2 },
  ],
  [
    "dropped",
    "error",
    "dropped 2 events: the buffer is full, and the source goes on",
    { state: "dropped", events: 2 },
  ],
  [
    "behind",
    "error",
    "behind, until the next start: redis://h: connect ECONNREFUSED",
    { state: "behind", position: 5, cause: unreachable },
  ],
  ["closed", "info", "closed", { state: "closed", cause: undefined }],
  ["closed with an error", "error", "closed: found 9 MB", { state: "closed", cause: setAside }],
];

const ofConsumers: readonly Case<ConsumerStatus>[] = [
  ["connecting", "info", "connecting", { state: "connecting" }],
  [
    "opened",
    "info",
    "orders: reading, and made the group",
    { state: "opened", stream: "orders", isNew: true },
  ],
  ["reading", "info", "reading", { state: "reading" }],
  [
    "claimed",
    "info",
    "orders: took over 4 deliveries of other consumers",
    { state: "claimed", stream: "orders", entries: 4 },
  ],
  ["draining", "info", "reading no more, waiting for 2 deliveries", { state: "draining", deliveries: 2 }],
  ["closed", "info", "closed", { state: "closed", cause: undefined }],
  ["closed with an error", "error", "closed: found 9 MB", { state: "closed", cause: setAside }],
  [
    "retrying",
    "warn",
    "attempt 1 failed, trying again in 100 ms: redis://h: connect ECONNREFUSED",
    { state: "retrying", attempt: 1, delayMs: 100, cause: unreachable },
  ],
  [
    "rejected",
    "warn",
    "orders: 5-0 failed, trying again in 100 ms: no mail",
    { state: "rejected", ...entry, deliveries: 1, delayMs: 100, reason: new Error("no mail") },
  ],
  ["lost", "warn", "orders: another consumer took over 5-0", { state: "lost", ...entry }],
  [
    "gone",
    "warn",
    "orders: 5-0 is not pending any more, nothing of it was written",
    { state: "gone", ...entry },
  ],
  [
    "deleted",
    "warn",
    "orders: deleted before they were handled: 5-0, 6-0",
    { state: "deleted", stream: "orders", entryIds: ["5-0", "6-0"] },
  ],
  ["warning", "warn", "the group was gone", { state: "warning", message: "the group was gone" }],
  [
    "deadLetter",
    "error",
    "orders: set 5-0 aside: no mail",
    { state: "deadLetter", ...entry, deliveries: 5, reason: "no mail" },
  ],
  [
    "gap",
    "error",
    "orders: an unknown number of entries were trimmed unread, after 1-0 and before 9-0",
    { state: "gap", stream: "orders", after: "1-0", before: "9-0", missed: undefined },
  ],
];

describe.each([
  ["a sink", ofSinks],
  ["a consumer", ofConsumers],
] as const)("statusLogger of %s", (_, cases) => {
  it.each<Case<SinkStatus | ConsumerStatus>>(cases)("logs %s as %s: %s", (_state, level, message, status) => {
    const { logger, all } = logged();

    statusLogger(logger).next(status);

    expect(all).toEqual([
      expect.objectContaining({ level: pino.levels.values[level], msg: message, state: status.state }),
    ]);
  });
});

describe("statusLogger of what is no logger", () => {
  const log = () => {};
  it.each([
    ["nothing", undefined, "logger.info: found nothing"],
    ["null", null, "logger.info: found nothing"],
    ["a text", "pino", "logger.info: found nothing"],
    ["one that was not called", pino, "logger.info: found nothing"],
    ["one without a level", { info: log, error: log }, "logger.warn: found nothing"],
    ["one that is made of levels", { info: 30, warn: 40, error: 50 }, "logger.info: found a number"],
    [
      "one with a debug flag",
      { info: log, warn: log, error: log, debug: true },
      "logger.debug: found a boolean",
    ],
  ])("refuses %s at once", (_case, logger, found) => {
    expect(() => statusLogger(logger as never)).toThrow(
      expect.objectContaining({
        _tag: "ConfigurationInvalid",
        message: `statusLogger: ${found}, expected a function: give it a logger such as pino()`,
      }),
    );
  });

  it("takes any that has the levels, also a function", () => {
    expect(() => statusLogger({ info: log, warn: log, error: log })).not.toThrow();
    expect(() => statusLogger(Object.assign(() => {}, console))).not.toThrow();
    expect(() => statusLogger(Object.create(console))).not.toThrow();
  });
});

describe("docs/tracing.md", () => {
  /** The states in a column of the page's table of levels. */
  function onThePage(column: number): readonly string[] {
    const page = readFileSync(new URL("../../docs/tracing.md", import.meta.url), "utf8");
    return [...page.matchAll(/^\| `(error|warn|info|debug)` \|.*$/gm)].flatMap(([row, level]) => {
      const cell = row.split("|")[column] ?? "";
      return [...cell.matchAll(/`(\w+)`( with an error)?/g)].map(
        ([, state, more = ""]) => `${state}${more} ${level}`,
      );
    });
  }

  it.each([
    ["sinks", 3, ofSinks, sinkStates],
    ["consumers", 4, ofConsumers, consumerStates],
  ] as const)("lists each state of %s at its level", (_, column, cases, states) => {
    expect(new Set(cases.map(([, , , { state }]) => state))).toEqual(new Set(Object.keys(states)));
    const logged = cases.map(([state, level]) => `${state} ${level}`);

    expect([...onThePage(column)].sort()).toEqual([...logged].sort());
  });
});

describe("statusLogger", () => {
  it("logs the fields of the status, its position as it is", () => {
    const { logger, all } = logged();

    statusLogger(logger).next({
      state: "opened",
      stream: "orders",
      epoch: 2,
      position: 41n,
      foreignEntries: 0,
    });
    statusLogger(logger).next({
      state: "opened",
      stream: "orders",
      epoch: 3,
      position: undefined,
      foreignEntries: 0,
    });

    expect(all).toMatchObject([
      { stream: "orders", epoch: 2, position: 41, foreignEntries: 0 },
      { stream: "orders", epoch: 3 },
    ]);
    expect(all[1]).not.toHaveProperty("position");
  });

  it("logs errors as err, with their tag and where they come from", () => {
    const { logger, all } = logged();
    const logger$ = statusLogger(logger);

    logger$.next({ state: "retrying", attempt: 1, delayMs: 100, cause: unreachable });
    logger$.next({ state: "closed", cause: setAside });
    logger$.next({ state: "rejected", ...entry, deliveries: 1, delayMs: 1, reason: new Error("no mail") });

    expect(all).toMatchObject([
      { err: { _tag: "Unreachable", message: unreachable.message, stack: expect.stringContaining("at ") } },
      { err: { _tag: "EventTooLarge" } },
      { err: { message: "no mail" } },
    ]);
    expect(all[0]).not.toHaveProperty("cause");
  });

  it("says nothing of a paused source where there is no debug", () => {
    const said: string[] = [];
    const log = (_: unknown, message: string) => said.push(message);

    const { next } = statusLogger({ info: log, warn: log, error: log });
    next({ state: "paused", events: 1, bytes: 1 });
    next({ state: "publishing" });

    expect(said).toEqual(["publishing"]);
  });
});

describe("statusLogger on a real server", () => {
  const redis = emptyRedis();

  it("logs an outage of a sink as it begins and ends, and no batches", async () => {
    const proxy = await startProxy(redis.port);
    const { logger, all, said } = logged("info");
    const events$ = new Subject<{ readonly position: number }>();
    const sink = redisSink<{ readonly position: number }, number>({
      id: "orders-redis",
      uri: proxy.uri,
      stream: "orders",
      status: statusLogger(logger.child({ sink: "orders-redis" })),
    });
    const running = lastValueFrom(events$.pipe(sink));
    await said(/orders: publishing/);

    await proxy.refuse();
    events$.next({ position: 1 });
    const { err } = await said(/^attempt 1 failed/);
    await proxy.restore();
    await said(/^publishing$/);
    for (const position of [2, 3, 4]) events$.next({ position });
    events$.complete();
    await running;
    await proxy.stop();

    expect(err).toMatchObject({ _tag: expect.stringMatching(/Unreachable|ConnectionLost/) });
    const rest = all.filter(({ state }) => state !== "retrying");
    expect(rest.map(({ state, level }) => `${state} ${level}`)).toEqual([
      "connecting 30",
      "opened 30",
      "publishing 30",
      "closed 30",
    ]);
    expect(all.every(({ sink }) => sink === "orders-redis")).toBe(true);
  });

  it("logs what a consumer could not handle, and why", async () => {
    const { logger, said } = logged("info");
    await redis.client.xadd("orders", "5-0", "event", '{"n":1}');
    let tries = 0;
    const handle = async () => {
      tries += 1;
      if (tries === 1) throw new Error("no mail");
    };

    await firstValueFrom(
      groupDeliveries<{ n: number }>({
        uri: redis.uri,
        stream: "orders",
        group: "mailer",
        redelivery: { initialMs: 10 },
        status: statusLogger(logger),
      }).pipe(acknowledge(handle)),
    );

    expect(await said(/orders: 5-0 failed/)).toMatchObject({
      level: 40,
      state: "rejected",
      entryId: "5-0",
      err: { message: "no mail" },
    });
    expect((await said(/^closed$/)).level).toBe(30);
  });
});

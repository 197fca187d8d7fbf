import { PassThrough } from "node:stream";
import { from, map, type Observable, of, Subject, take, tap } from "rxjs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type Advance, type CaughtUp, catchingUp } from "../../src/cli/progress/catchingUp.ts";
import { type Progress, progress, type Reading } from "../../src/cli/progress/progress.ts";
import { progressLines } from "../../src/cli/progress/progressLines.ts";
import { durationText, progressText, togetherText } from "../../src/cli/progress/progressText.ts";
import { showTables } from "../../src/cli/progress/showTables.ts";
import { tableEndText, tableText } from "../../src/cli/progress/tableText.ts";
import { Bar } from "../../src/cli/terminal/bar.ts";
import { Stdout } from "../../src/cli/terminal/stdout.ts";
import { rxaddError } from "../../src/errors/rxaddError.ts";
import type { SnapshotProgress } from "../../src/telemetry/snapshotProgress.ts";
import { marbles } from "../kit/time/marbles.ts";

describe("progress", () => {
  /** What comes of the readings, one a second: events, done and total. */
  function progressOf(
    ...readings: readonly (readonly [events: number, done: number, total?: number] | undefined)[]
  ) {
    const seen: (Progress | undefined)[] = [];
    of(...readings)
      .pipe(
        map((reading, second): Reading | undefined => {
          if (reading === undefined) return undefined;
          const [events, done, total] = reading;
          return { atMs: second * 1000, events, done, total };
        }),
        progress(),
      )
      .subscribe((progress) => seen.push(progress));
    return seen;
  }

  it("tells the rate, the share that is done, and the time left at this pace", () => {
    expect(progressOf([0, 0, 100], [500, 10, 100], [1000, 20, 100])).toEqual([
      { events: 0, eventsPerSecond: 0, share: 0, secondsLeft: undefined },
      { events: 500, eventsPerSecond: 500, share: 0.1, secondsLeft: 9 },
      { events: 1000, eventsPerSecond: 500, share: 0.2, secondsLeft: 8 },
    ]);
  });

  it("goes by the pace of the last five seconds", () => {
    const fast = Array.from({ length: 10 }, (_, second) => [second * 100, second * 10, 1000] as const);
    const slow = Array.from({ length: 6 }, (_, second) => [1000 + second, 100 + second, 1000] as const);
    const { eventsPerSecond = 0, secondsLeft = 0 } = progressOf(...fast, ...slow).at(-1) ?? {};
    expect(eventsPerSecond).toBe(1);
    expect(secondsLeft).toBe(895);
  });

  it("counts what there is more to do while it works", () => {
    // Ten are done a second, and five more come.
    const { share = 0, secondsLeft } = progressOf([0, 0, 100], [1, 10, 105], [2, 20, 110]).at(-1) ?? {};
    expect(share).toBeCloseTo(20 / 110);
    expect(secondsLeft).toBe(90 / 5);
  });

  it("tells no time left when it comes no nearer", () => {
    expect(progressOf([0, 0, 100], [1, 10, 110], [2, 20, 125]).at(-1)?.secondsLeft).toBeUndefined();
  });

  it("tells the rate alone of what has no end that is known", () => {
    expect(progressOf([0, 0], [300, 0]).at(-1)).toEqual({
      ...{ events: 300, eventsPerSecond: 300 },
      ...{ share: undefined, secondsLeft: undefined },
    });
  });

  it("begins anew with another work", () => {
    const [, , between, again] = progressOf([0, 0, 100], [500, 50, 100], undefined, [7, 0, 100]);
    expect(between).toBeUndefined();
    expect(again).toEqual({ events: 7, eventsPerSecond: 0, share: 0, secondsLeft: undefined });
  });

  it("is all of an empty input", () => {
    expect(progressOf([0, 0, 0])[0]?.share).toBe(1);
  });
});

describe("catchingUp", () => {
  /** Events become safe, of which the last one happened so many seconds ago. */
  const lagging = (lags$: Observable<string>, now: () => number): Observable<Advance> =>
    lags$.pipe(
      map((lag) => ({
        atMs: now(),
        events: 10,
        eventMs: lag === "x" ? undefined : now() - { z: 0, a: 1, c: 3, f: 6, m: 60 }[lag as "z"] * 1000,
      })),
    );

  it(
    "tells nothing of a pipeline that is level with its source, or whose events do not say",
    marbles(({ hot, expectObservable }) => {
      const lags = hot("   -z-a-c-x-");
      const expected = "   -u-u-u-u-";
      expectObservable(lagging(lags, () => 100_000).pipe(catchingUp())).toBe(expected, { u: undefined });
    }),
  );

  it(
    "tells how far the time of what is safe has come, until it is level again",
    marbles(({ hot, expectObservable, flush }) => {
      const lags = hot("   -m 999ms f 999ms c 999ms a 999ms c---");
      const expected = "   -m 999ms f 999ms c 999ms u 999ms u---";
      const told: CaughtUp[] = [];
      let second = -1;
      const now = () => 1_000_000 + second * 1000;
      const readings$ = lagging(
        lags.pipe(
          tap(() => {
            second += 1;
          }),
        ),
        now,
      ).pipe(catchingUp({ next: (caughtUp) => told.push(caughtUp) }));
      const startMs = 1_000_000 - 60_000;
      const reading = (second: number, events: number, lag: number) => ({
        ...{ atMs: 1_000_000 + second * 1000, events },
        done: 1_000_000 + second * 1000 - lag * 1000 - startMs,
        total: 1_000_000 + second * 1000 - startMs,
      });
      expectObservable(readings$).toBe(expected, {
        m: reading(0, 10, 60),
        f: reading(1, 20, 6),
        c: reading(2, 30, 3),
        u: undefined,
      });
      flush();
      expect(told).toEqual([{ events: 40, seconds: 3, isLevel: true }]);
    }),
  );

  it(
    "tells what it took when nothing more comes for three seconds, unless that is hardly anything",
    marbles(({ hot, flush }) => {
      const advance = (second: number, event: number) => ({
        atMs: second * 1000,
        events: 10,
        eventMs: event * 1000,
      });
      const values = { a: advance(100, 40), b: advance(101, 50), c: advance(102, 60), d: advance(200, 150) };
      const told: CaughtUp[] = [];
      const advances = hot("a b c 4s d", values);
      advances.pipe(catchingUp({ next: (caughtUp) => told.push(caughtUp) })).subscribe();
      flush();
      expect(told).toEqual([{ events: 30, seconds: 2, isLevel: false }]);
    }),
  );

  it(
    "says nothing more when nothing comes for three seconds, and goes on from there",
    marbles(({ hot, expectObservable }) => {
      const lags = hot("   -m 5s m");
      const expected = "   -r 2999ms u 2000ms s 2999ms u";
      const startMs = 1_000_000 - 60_000;
      const reading = (events: number) => ({ atMs: 1_000_000, events, done: 0, total: 1_000_000 - startMs });
      expectObservable(lagging(lags, () => 1_000_000).pipe(catchingUp()), "^ 9s !").toBe(expected, {
        ...{ r: reading(10), s: reading(20) },
        u: undefined,
      });
    }),
  );
});

describe("catchingUp, once its source has been silent", () => {
  /** Each advance is of ten events: when it comes, and when the last of them happened, in s. */
  function caught(...advances: readonly (readonly [at: number, event: number])[]) {
    const told: CaughtUp[] = [];
    const readings: (Reading | undefined)[] = [];
    from(advances)
      .pipe(
        map(([at, event]) => ({ atMs: at * 1000, events: 10, eventMs: event * 1000 })),
        catchingUp({ next: (caughtUp) => told.push(caughtUp) }),
        take(advances.length),
      )
      .subscribe((reading) => readings.push(reading));
    return { told, readings };
  }

  it("does not tell again, at the first event afterwards, what was told when the silence began", () => {
    expect(caught([100, 40], [102, 90], [3700, 3699]).told).toEqual([]);
  });

  it("begins anew when what it is behind with happened only afterwards", () => {
    const { readings } = caught([100, 40], [102, 90], [3700, 3640], [3701, 3670]);
    expect(readings.slice(2)).toEqual([
      { atMs: 3_700_000, events: 10, done: 0, total: 60_000 },
      { atMs: 3_701_000, events: 20, done: 30_000, total: 61_000 },
    ]);
  });

  it("goes on with what had happened before, as after an outage", () => {
    const { readings } = caught([100, 40], [160, 70]);
    expect(readings[1]).toEqual({ atMs: 160_000, events: 20, done: 30_000, total: 120_000 });
  });
});

describe("progressLines", () => {
  const at = (events: number): Progress => ({
    ...{ events, eventsPerSecond: 2 },
    ...{ share: 0.5, secondsLeft: 3 },
  });
  const values = { a: at(1), b: at(2), c: at(3), z: at(0), u: undefined };
  const line = (events: number) => `${events} events, 2 events/s, 50 % of orders.ndjson, 3 s left`;
  const lines = { A: line(1), B: line(2), C: line(3) };

  it(
    "writes the latest every five seconds, and nothing of work that ends before",
    marbles(({ hot, expectObservable }) => {
      const progress$ = hot("a 2s b 1s u 2s a 6s c 5s |", values);
      expectObservable(progress$.pipe(progressLines("orders.ndjson"))).toBe(
        // The second work begins at 5003 ms.
        "5003ms 5s A 4999ms C 1001ms |",
        lines,
      );
    }),
  );

  it(
    "writes nothing while no events become safe",
    marbles(({ hot, expectObservable }) => {
      const progress$ = hot("z 4s z 4s a 4s a 4s a 4s b 5s |", values);
      expectObservable(progress$.pipe(progressLines("orders.ndjson"))).toBe("10s A 14999ms B 5ms |", lines);
    }),
  );
});

describe("progressText", () => {
  it.each<[Progress, string]>([
    [
      { events: 1_200_000, eventsPerSecond: 310_000.4, share: 0.429, secondsLeft: 7.1 },
      "1,200,000 events, 310,000 events/s, 42 %, 8 s left",
    ],
    [{ events: 3, eventsPerSecond: 1, share: undefined, secondsLeft: undefined }, "3 events, 1 events/s"],
  ])("puts %o into words", (progress, text) => {
    expect(progressText(progress)).toBe(text);
  });

  it("names what a share is a share of", () => {
    const progress = { events: 3, eventsPerSecond: 1, share: 0.5, secondsLeft: undefined };
    expect(progressText(progress, "orders.ndjson")).toBe("3 events, 1 events/s, 50 % of orders.ndjson");
  });

  it.each([
    [0.2, "1 s"],
    [89, "89 s"],
    [90, "2 min"],
    [3600, "60 min"],
    [7200, "2 h"],
  ])("takes %d s for %s", (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });
});

describe("togetherText", () => {
  const one = (events: number, share?: number): Progress => ({
    ...{ events, eventsPerSecond: events / 10, share },
    secondsLeft: share === undefined ? undefined : 8,
  });

  it("puts several into one line, and says of one of them whose it is", () => {
    const of = (...all: readonly (readonly [string, Progress])[]) => togetherText(new Map(all));
    expect(of()).toBe("");
    expect(of(["", one(1200, 0.5)])).toBe("1,200 events, 120 events/s, 50 %, 8 s left");
    expect(of(["shop", one(1200, 0.5)])).toBe("shop: 1,200 events, 120 events/s, 50 %, 8 s left");
    expect(of(["shop", one(1200, 0.5)], ["copy", one(300)], ["old", one(0, 0.999)])).toBe(
      "1,500 events, 150 events/s, shop 50 %, old 99 %",
    );
  });
});

describe("tables that are read", () => {
  const table = "public.orders";
  const reading = (rows: number, estimated?: number): SnapshotProgress => {
    return { table, rows, estimated, state: "reading" };
  };

  it.each([
    [2_900_000, 6, "public.orders: 1,200,000 of about 2,900,000 rows, 310,000 rows/s, 6 s left"],
    [2_900_000, undefined, "public.orders: 1,200,000 of about 2,900,000 rows, 310,000 rows/s"],
    [undefined, undefined, "public.orders: 1,200,000 rows, 310,000 rows/s"],
  ])("are told with what is known: %s rows, %s s left", (estimated, secondsLeft, text) => {
    const progress = { eventsPerSecond: 310_000, secondsLeft };
    expect(tableText(reading(1_200_000, estimated), progress)).toBe(text);
  });

  it("are told when they are read, or why they are not", () => {
    expect(tableEndText(reading(1))).toBeUndefined();
    expect(tableEndText({ ...reading(1200), state: "read" })).toBe("public.orders: 1,200 rows read");
    const error = rxaddError("PermissionDenied", "GRANT SELECT ON it");
    expect(tableEndText({ ...reading(0), state: "refused", error })).toBe(
      "warning: public.orders: not read: GRANT SELECT ON it",
    );
  });

  it("are in the bar on a terminal, until they are read, whatever stands in their names", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    let shown = "";
    const stderr = new PassThrough().setEncoding("utf8").on("data", (text: string) => {
      shown += text;
    });
    const bar = new Bar(Object.assign(stderr, { isTTY: true, columns: 200 }), new Stdout(new PassThrough()));
    const lines: string[] = [];
    const tables$ = new Subject<SnapshotProgress>();
    const ofShop = bar.of("shop");
    const showing = showTables({ bar: ofShop, log: (line) => lines.push(line) }, tables$).subscribe();

    tables$.next({ ...reading(1200, 2400), table: "public.orders\x1b[2J" });
    bar.sayLine("above");
    tables$.next({ ...reading(2400), table: "public.orders\x1b[2J", state: "read" });
    vi.advanceTimersByTime(200);
    bar.sayLine("alone");
    showing.unsubscribe();

    expect(shown).toContain("50 %");
    expect(shown).toContain("shop/public.orders\\u001b[2J: 1,200 events");
    expect(shown.endsWith("alone\n")).toBe(true);
    expect(lines).toEqual([]);
  });

  it("have a line in ten seconds, and none when they take less", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const lines: string[] = [];
    const tables$ = new Subject<SnapshotProgress>();
    const silent = { isTTY: false, write: () => true } as never;
    const bar = new Bar(silent, new Stdout(new PassThrough()));
    const showing = showTables({ bar, log: (line) => lines.push(line) }, tables$).subscribe();
    const read = (second: number, progress: SnapshotProgress) => {
      vi.setSystemTime(second * 1000);
      tables$.next(progress);
      vi.advanceTimersByTime(1000);
    };
    for (let second = 1; second <= 25; second += 1) read(second, reading(second * 100, 10_000));
    read(26, { ...reading(2600), state: "read" });
    for (let second = 27; second <= 32; second += 1)
      read(second, { ...reading(second), table: "public.lines" });
    read(33, { ...reading(33), table: "public.lines", state: "read" });
    vi.advanceTimersByTime(60_000);
    showing.unsubscribe();

    expect(lines).toEqual([
      "public.orders: 1,000 of about 10,000 rows, 100 rows/s, 2 min left",
      "public.orders: 2,000 of about 10,000 rows, 100 rows/s, 80 s left",
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

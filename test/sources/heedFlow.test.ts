import { BehaviorSubject, from, map, NEVER, take, tap } from "rxjs";
import { describe, expect, it } from "vitest";
import type { Flow } from "../../src/index.ts";
import { heedFlow } from "../../src/sources/heedFlow.ts";
import { marbles } from "../kit/time/marbles.ts";

const signs = { P: "pause", R: "resume" } as const;

/** Keeps what it is told. */
function told() {
  const signals: Flow[] = [];
  return { signals, next: (signal: Flow) => signals.push(signal) };
}

describe("heedFlow", () => {
  it(
    "holds the rest of a chunk while the flow says pause, and emits it in order",
    marbles(({ cold, hot, expectObservable, expectSubscriptions, flush }) => {
      const source = cold("  -a-(bcd)---------e-|");
      const flow = hot<Flow>("--P-------R--------", signs);
      const expected = "      -a--------(bcd)--e-|";
      const reading = told();

      expectObservable(source.pipe(heedFlow(flow, reading))).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe("^------------------!");
      flush();

      expect(reading.signals).toEqual(["pause", "resume"]);
    }),
  );

  it(
    "lets an error and a completion wait for what is held",
    marbles(({ cold, hot, expectObservable }) => {
      const flow = () => hot<Flow>("P-----R-", signs);

      expectObservable(cold("-ab-#").pipe(heedFlow(flow(), told()))).toBe("------(ab#)");
      expectObservable(cold("-ab-|").pipe(heedFlow(flow(), told()))).toBe("------(ab|)");
      expectObservable(cold("----#").pipe(heedFlow(flow(), told()))).toBe("----#");
    }),
  );

  it(
    "drops what is held when it is unsubscribed",
    marbles(({ cold, hot, expectObservable, expectSubscriptions }) => {
      const source = cold("  -a-b---");
      const flow = hot<Flow>("P-----R", signs);

      expectObservable(source.pipe(heedFlow(flow, told())), "^---!").toBe("-----");
      expectSubscriptions(source.subscriptions).toBe("^---!");
      expectSubscriptions(flow.subscriptions).toBe("^---!");
    }),
  );

  it("stops in the midst of what is held when it is told to pause again, before reading goes on", () => {
    const flow = new BehaviorSubject<Flow>("pause");
    const reading = told();
    const seen: number[] = [];
    from([1, 2, 3, 4, 5])
      .pipe(
        heedFlow(flow, reading),
        tap((value) => value % 2 === 0 && flow.next("pause")),
      )
      .subscribe((value) => seen.push(value));

    expect(seen).toEqual([]);
    flow.next("resume");
    expect(seen).toEqual([1, 2]);
    flow.next("resume");
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(reading.signals).not.toContain("resume");
    flow.next("resume");

    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(reading.signals.at(-1)).toBe("resume");
  });

  it("pulls no more of a synchronous source than is asked for", () => {
    let pulled = 0;
    from(Array(1000).keys())
      .pipe(
        map((value) => {
          pulled += 1;
          return value;
        }),
        heedFlow(NEVER, told()),
        take(1),
      )
      .subscribe();

    expect(pulled).toBeLessThan(3);
  });
});

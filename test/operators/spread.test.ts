import fc from "fast-check";
import { BehaviorSubject, concat, map, Observable, of, range, take, tap } from "rxjs";
import { describe, expect, it } from "vitest";
import type { Flow } from "../../operators/flow.ts";
import { spread } from "../../operators/index.ts";
import { marbles } from "../kit/time/marbles.ts";

const LOADING = new Error("LOADING Redis is loading the dataset in memory");
const lists: Readonly<Record<string, string[]>> = { x: ["a", "b", "c"], y: ["d"], e: [] };
const flows: Readonly<Record<string, Flow>> = { P: "pause", R: "resume" };

describe("spread", () => {
  it(
    "emits the items of each list one by one",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  -x-----e-y-|", lists);
      const sub = "         ^----------!";
      const expected = "    -(abc)---d-|";

      const result = source.pipe(spread());

      expectObservable(result).toBe(expected);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "holds what is left of a list while paused, and the lists and the end behind it",
    marbles(({ hot, expectObservable }) => {
      const flow = new BehaviorSubject<Flow>("resume");
      const source = hot("   -x-----y---|      ", lists);
      const signals = hot("  ----R-P----R      ", flows);
      const expected = "     -a--(bc)---(d|)   ";

      signals.subscribe(flow);
      const result = source.pipe(
        spread(flow),
        tap((item) => {
          if (item === "a") flow.next("pause");
        }),
      );

      expectObservable(result).toBe(expected);
    }),
  );

  it(
    "emits nothing while it starts paused",
    marbles(({ cold, hot, expectObservable }) => {
      const flow = concat(of<Flow>("pause"), hot("--R", flows));
      const source = cold<string[]>("(xy|)    ", lists);
      const expected = "             --(abcd|)";

      expectObservable(source.pipe(spread(flow))).toBe(expected);
    }),
  );

  it(
    "brings an error of the source out behind the items before it",
    marbles(({ cold, hot, expectObservable }) => {
      const flow = hot("             -P---R----", flows);
      const source = cold<string[]>("--x#      ", lists, LOADING);
      const expected = "             -----(abc#)";

      expectObservable(source.pipe(spread(flow))).toBe(expected, undefined, LOADING);
    }),
  );

  it(
    "ends at once with an error of flow",
    marbles(({ cold, hot, expectObservable, expectSubscriptions }) => {
      const source = cold<string[]>("-----");
      const sub = "                  ^-!  ";
      const expected = "             --#  ";

      expectObservable(source.pipe(spread(hot("--#", flows, LOADING)))).toBe(expected, undefined, LOADING);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "lets go of the source and of flow when unsubscribed while paused",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  --x------", lists);
      const flow = hot("    -P-------", flows);
      const unsub = "       ^---!    ";

      expectObservable(source.pipe(spread(flow)), unsub).toBe("-----");
      expectSubscriptions(source.subscriptions).toBe(unsub);
      expectSubscriptions(flow.subscriptions).toBe([unsub, unsub]);
    }),
  );

  it(
    "starts a second subscription empty",
    marbles(({ cold, hot, expectObservable }) => {
      const source = cold<string[]>("(x|)", lists);
      const flow = hot("             P------", flows);
      const unsub = "                ^-!    ";
      const expected = "             ---    ";
      const again = "                ---^   ";
      const expectedAgain = "        ---(abc|)";
      const result = source.pipe(spread(flow));

      expectObservable(result, unsub).toBe(expected);
      expectObservable(result, again).toBe(expectedAgain);
    }),
  );

  it("leaves its source with pause as the last word when an item pauses from within a resume", () => {
    const flow = new BehaviorSubject<Flow>("pause");
    const heard: Flow[] = [];
    const source = new Observable<string[]>((subscriber) => {
      subscriber.add(flow.subscribe((signal) => heard.push(signal)));
      subscriber.next(["a", "b"]);
    });

    source.pipe(spread(flow)).subscribe(() => flow.next("pause"));
    flow.next("resume");

    expect(heard).toEqual(["pause", "resume", "pause"]);
  });

  it("stops an endless synchronous source when nobody listens any more", () => {
    const seen: number[] = [];

    range(0, Number.POSITIVE_INFINITY)
      .pipe(
        map((n) => [2 * n, 2 * n + 1]),
        spread(),
        take(3),
      )
      .subscribe((item) => seen.push(item));

    expect(seen).toEqual([0, 1, 2]);
  });

  it("emits every item once and in order, and none after a pause, whenever items pause and others resume", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.record({ pauses: fc.boolean(), resumes: fc.boolean() }), { maxLength: 5 })),
        (lists) => {
          const flow = new BehaviorSubject<Flow>("resume");
          const seen: unknown[] = [];
          const late: unknown[] = [];
          let isComplete = false;

          of(...lists)
            .pipe(spread(flow))
            .subscribe({
              next: (item) => {
                if (flow.value === "pause") late.push(item);
                seen.push(item);
                if (item.pauses) flow.next("pause");
                if (item.resumes) flow.next("resume");
              },
              complete: () => (isComplete = true),
            });
          for (let left = lists.flat().length; left >= 0; left -= 1) flow.next("resume");

          expect(seen).toEqual(lists.flat());
          expect(late).toEqual([]);
          expect(isComplete).toBe(true);
        },
      ),
    );
  });
});

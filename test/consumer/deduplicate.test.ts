import { delay, from, lastValueFrom, map, of, Subject, toArray } from "rxjs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  acknowledge,
  type DeduplicateOptions,
  type Delivery,
  deduplicate,
  effects,
} from "../../src/consumer.ts";
import { fakeGroup } from "../../src/testing/fakeGroup.ts";
import { settledOtherwise } from "../kit/load/settledOtherwise.ts";
import { marbles } from "../kit/time/marbles.ts";

interface Order {
  readonly id: string;
}

const a: Order = { id: "a" };
const b: Order = { id: "b" };
const FULL = new Error("the mail box is full");
const key = ({ id }: Order) => id;

/** Two entries with the event a, one with b. */
function entries(options: Parameters<typeof fakeGroup>[0] = {}) {
  const group = fakeGroup<Order>({ redelivery: { initialMs: 3 }, ...options });
  return { group, values: { a: group.delivery(a), A: group.delivery(a), b: group.delivery(b) } };
}

const entryIds = map(({ entryId }: Delivery<Order>) => entryId);

describe("deduplicate", () => {
  it(
    "lets an event through once, and acknowledges the entries that repeat it",
    marbles(({ hot, expectObservable, flush }) => {
      const { group, values } = entries();
      const skipped = new Subject<Delivery<Order>>();
      const source = hot("-a-A-b-|", values);
      const expected = "  -a---b-|";
      const skips = "     ---A----";

      const result = source.pipe(
        deduplicate({ key, skipped }),
        acknowledge(() => undefined),
        map(({ delivery }) => delivery.event.id),
      );

      expectObservable(result).toBe(expected);
      expectObservable(skipped.pipe(entryIds)).toBe(skips, { A: "2-0" });
      flush();
      expect(group.acknowledged).toEqual(["1-0", "2-0", "3-0"]);
    }),
  );

  it(
    "keeps an event back while the same one is being handled, until it is known to be processed",
    marbles(({ hot, cold, expectObservable, flush }) => {
      const { group, values } = entries();
      const source = hot("-aAb------|", values);
      const handling = cold("---|");
      const expected = "  ----a--b--|";

      const result = source.pipe(
        deduplicate({ key }),
        acknowledge(() => handling),
        map(({ delivery }) => delivery.event.id),
      );

      expectObservable(result).toBe(expected);
      flush();
      expect(group.acknowledged).toEqual(["1-0", "2-0", "3-0"]);
    }),
  );

  it(
    "goes by no answer of before the same event was acknowledged",
    marbles(({ hot, cold, expectObservable, flush }) => {
      const { group, values } = entries();
      const late = settledOtherwise(values.A, (settler) => ({
        processed: (ids) => settler.processed(ids).pipe(delay(3)),
      }));
      const source = hot("-a-A-------|", { a: values.a, A: late });
      const handling = cold("---|");
      const expected = "  ----a------|";

      const result = source.pipe(
        deduplicate({ key }),
        acknowledge(() => handling),
        map(({ delivery }) => delivery.event.id),
      );

      expectObservable(result).toBe(expected);
      flush();
      expect(group.acknowledged).toEqual(["1-0", "2-0"]);
    }),
  );

  it(
    "hands on an event that was kept back if the one before it became a dead letter",
    marbles(({ hot, cold, expectObservable, flush }) => {
      const { group, values } = entries({ maxDeliveries: 1 });
      const source = hot("-aA-------|", values);
      const failing = cold("---#", undefined, FULL);
      const expected = "  ------A---|";
      let times = 0;

      const result = source.pipe(
        deduplicate({ key }),
        acknowledge(() => {
          times += 1;
          return times === 1 ? failing : cold("--|");
        }),
        map(({ delivery }) => delivery.entryId),
      );

      expectObservable(result).toBe(expected, { A: "2-0" });
      flush();
      expect(group.deadLetters).toEqual([{ entryId: "1-0", reason: FULL }]);
    }),
  );

  it(
    "asks about deliveries that come together once",
    marbles(({ cold, expectObservable, flush }) => {
      const { values } = entries();
      const asked: (readonly string[])[] = [];
      const asking = (delivery: Delivery<Order>) =>
        settledOtherwise(delivery, () => ({
          processed: (ids) => {
            asked.push(ids);
            return of(ids.map(() => false));
          },
        }));
      const source = cold("(ab|)", { a: asking(values.a), b: asking(values.b) });

      expectObservable(source.pipe(deduplicate({ key }), entryIds)).toBe("(ab)", { a: "1-0", b: "3-0" });
      flush();
      expect(asked).toEqual([["a", "b"]]);
    }),
  );

  it(
    "completes when everything is settled, and passes an error on",
    marbles(({ hot, expectObservable }) => {
      const { values } = entries();
      const settled = hot("-a|", values).pipe(
        deduplicate({ key }),
        acknowledge(() => undefined),
      );
      const failing = hot("-#", values, FULL).pipe(deduplicate({ key }));

      expectObservable(settled.pipe(map(() => "x"))).toBe("-x|");
      expectObservable(failing).toBe("-#", undefined, FULL);
    }),
  );

  it(
    "rejects a delivery for which key throws or gives no text, and takes none for a duplicate of the other",
    marbles(({ hot, expectObservable, flush }) => {
      const group = fakeGroup<{ id?: string } | null>({ maxDeliveries: 1 });
      const values = {
        a: group.delivery({ id: "a" }),
        n: group.delivery(null),
        x: group.delivery({}),
        y: group.delivery({ id: "" }),
      };
      const source = hot("-nxya-|", values);
      const expected = "  ----a-|";

      const result = source.pipe(
        deduplicate({ key: (event) => (event as { id: string }).id }),
        acknowledge(() => undefined),
        map(({ delivery }) => delivery.event?.id),
      );

      expectObservable(result).toBe(expected);
      flush();
      expect(group.acknowledged).toEqual(["1-0"]);
      expect(group.deadLetters.map(({ entryId, reason }) => [entryId, String(reason)])).toEqual([
        ["2-0", expect.stringMatching(/^TypeError: Cannot read properties of null/)],
        ["3-0", "TypeError: key: found nothing, expected a text that is not empty: this event has no key"],
        [
          "4-0",
          "TypeError: key: found an empty text, expected a text that is not empty: this event has no key",
        ],
      ]);
    }),
  );

  it(
    "asks again about what waited for a delivery that became another consumer's",
    marbles(({ hot, cold, expectObservable, flush }) => {
      const { group, values } = entries();
      // It waits behind b, until it is lost.
      const lost = settledOtherwise(values.a, () => ({
        mayStart: () => false,
        start: (begin) => begin("another's"),
      }));
      const source = hot("  -baA------|", { a: lost, A: values.A, b: values.b });
      const handling = cold("---|");
      const expected = "    ----b--A--|";

      const result = source.pipe(
        deduplicate({ key }),
        acknowledge(() => handling),
        map(({ delivery }) => delivery.entryId),
      );

      expectObservable(result).toBe(expected, { b: "3-0", A: "2-0" });
      flush();
      expect(group.acknowledged).toEqual(["3-0", "2-0"]);
    }),
  );

  it("remembers the key that an event had before its handler changed it", async () => {
    const group = fakeGroup<{ id: string }>();

    await lastValueFrom(
      from([group.delivery({ id: "A" }), group.delivery({ id: "A" })]).pipe(
        deduplicate({ key: ({ id }) => id }),
        acknowledge((event) => {
          event.id = "another";
          return effects(["INCR", "total"]);
        }),
        toArray(),
      ),
    );

    expect(group.effects).toEqual([["INCR", "total"]]);
    expect(group.acknowledged).toEqual(["1-0", "2-0"]);
  });

  it("goes on when whoever is told of a duplicate throws", async () => {
    const { group, values } = entries();
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warned.mockRestore());

    await lastValueFrom(
      from([values.a, values.A, values.b]).pipe(
        deduplicate({
          key,
          skipped: {
            next: () => {
              throw FULL;
            },
          },
        }),
        acknowledge(() => undefined),
        toArray(),
      ),
    );

    expect(group.acknowledged).toHaveLength(3);
    expect(warned.mock.calls).toEqual([
      [
        "deduplicate: skipped threw: the mail box is full; it goes on being told, and no more is said of its errors",
        "RxaddWarning",
      ],
    ]);
  });

  it.each<[object, RegExp]>([
    [{}, /^deduplicate: key: found nothing, expected a function$/],
    [{ key, window: 0 }, /^deduplicate: window: found 0, expected a whole number from 1 on$/],
    [{ key, skiped: { next: () => {} } }, /^deduplicate: skiped: no such option; did you mean skipped\?$/],
  ])("refuses %o at once", (options, message) => {
    expect(() => deduplicate(options as DeduplicateOptions<Order>)).toThrow(message);
  });

  it("does not let a consumer handle what another one of the group has processed", async () => {
    const { values } = entries();
    const handled: string[] = [];
    const consume = (delivery: Delivery<Order>) =>
      lastValueFrom(
        from([delivery]).pipe(
          deduplicate({ key }),
          acknowledge((_, { entryId }) => {
            handled.push(entryId);
            return undefined;
          }),
          toArray(),
        ),
      );

    await consume(values.a);
    await consume(values.A);

    expect(handled).toEqual(["1-0"]);
  });
});

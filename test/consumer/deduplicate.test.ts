import { from, lastValueFrom, map, of, Subject, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { acknowledge, type Delivery, deduplicate, memoryGroup } from "../../src/consumer/index.ts";
import { marbles } from "../support/marbles.ts";

interface Order {
  readonly id: string;
}

const a: Order = { id: "a" };
const b: Order = { id: "b" };
const FULL = new Error("the mail box is full");
const key = ({ id }: Order) => id;

/** Two entries with the event a, one with b. */
function entries(options: Parameters<typeof memoryGroup>[0] = {}) {
  const group = memoryGroup<Order>({ redelivery: { initialMs: 3 }, ...options });
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
      const settler = {
        ...values.a.settler,
        processed: (_stream: string, ids: readonly string[]) => {
          asked.push(ids);
          return of(ids.map(() => false));
        },
      };
      const source = cold("(ab|)", { a: { ...values.a, settler }, b: { ...values.b, settler } });

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

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TransactionBuffer, type TransactionMark } from "../../operators/transactionBuffer.ts";

interface Item {
  readonly n: number;
  readonly size: number;
  readonly mark: TransactionMark | undefined;
}

/** Items of transactions of 1 to 6, whose last one is marked or not, and such without one. */
const items: fc.Arbitrary<readonly Item[]> = fc
  .array(
    fc.record({ count: fc.integer({ min: 1, max: 6 }), kind: fc.constantFrom("marked", "open", "none") }),
    { maxLength: 20 },
  )
  .chain((transactions) => {
    const marks = transactions.flatMap(({ count, kind }, id) =>
      Array.from({ length: count }, (_, index): TransactionMark | undefined => {
        if (kind === "none") return undefined;
        return kind === "open" ? { id: `${id}` } : { id: `${id}`, last: index === count - 1 };
      }),
    );
    return fc
      .array(fc.nat(9), { minLength: marks.length, maxLength: marks.length })
      .map((sizes) => marks.map((mark, n) => ({ n, mark, size: sizes[n] ?? 0 })));
  });

const limits = fc.record({
  maxItems: fc.integer({ min: 1, max: 8 }),
  maxBytes: fc.integer({ min: 1, max: 30 }),
  maxTransactionItems: fc.integer({ min: 4, max: 10 }),
  maxTransactionBytes: fc.integer({ min: 20, max: 60 }),
});

const bytesOf = (batch: readonly Item[]) => batch.reduce((sum, { size }) => sum + size, 0);

describe("TransactionBuffer", () => {
  it("loses, doubles and reorders nothing, and splits only what is too large", () => {
    fc.assert(
      fc.property(items, limits, fc.infiniteStream(fc.nat(4)), (all, bounds, draws) => {
        let taken = 0;
        const batches: Item[][] = [];
        const buffer = new TransactionBuffer<Item>(bounds, () => {
          taken += 1;
        });
        const takeAll = (isDue: boolean) => {
          for (let next = buffer.take(isDue); next !== undefined; next = buffer.take(isDue))
            batches.push(next);
        };
        for (const item of all) {
          buffer.add(item, item.mark, item.size);
          if (draws.next().value === 0) takeAll(draws.next().value < 2);
        }
        buffer.endTransaction();
        takeAll(true);

        expect(batches.flat().map(({ n }) => n)).toEqual(all.map(({ n }) => n));
        expect(taken).toBe(batches.length);
        expect([buffer.hasWhole, buffer.isOpen, buffer.arrived]).toEqual([false, false, all.length]);
        batches.forEach((batch, index) => {
          expect(batch).not.toEqual([]);
          const last = batch.at(-1);
          const next = batches[index + 1]?.[0];
          if (last?.mark === undefined || last.mark.id !== next?.mark?.id) return;
          const ofIt = batch.filter(({ mark }) => mark?.id === last.mark?.id);
          const isTooLarge =
            ofIt.length >= bounds.maxTransactionItems || bytesOf(ofIt) >= bounds.maxTransactionBytes;
          expect(isTooLarge, `the transaction of ${last.n} is split`).toBe(true);
        });
      }),
    );
  });

  it("knows of the transaction that is not whole", () => {
    const buffer = new TransactionBuffer<string>(
      { maxItems: 9, maxBytes: 99, maxTransactionItems: 9, maxTransactionBytes: 99 },
      () => {},
    );
    buffer.add("a", undefined, 1);
    expect([buffer.awaitsEnd, buffer.unfinished]).toEqual([false, undefined]);

    buffer.add("b", { id: "t" }, 1);
    expect(buffer.awaitsEnd).toBe(true);
    expect(buffer.take(true)).toEqual(["a"]);

    buffer.add("c", { id: "t", last: false }, 1);
    expect(buffer.awaitsEnd).toBe(false);
    expect(buffer.unfinished).toMatchObject({ id: "t", items: 2 });
    expect(buffer.take(true)).toBeUndefined();
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Batch } from "../../../src/sink/encode/entry.ts";
import { batchesOf, sharesOf } from "../../../src/sink/lane/shares.ts";
import { entryWith } from "./entries.ts";

/** Entries of streams, of a size, some of them in transactions of several. */
const entries = fc
  .array(
    fc.record({
      stream: fc.constantFrom("a", "b", "c"),
      bytes: fc.integer({ min: 1, max: 20 }),
      events: fc.integer({ min: 1, max: 4 }),
      isTransaction: fc.boolean(),
    }),
    { maxLength: 20 },
  )
  .map(
    (parts): Batch<number> =>
      parts.flatMap(({ stream, bytes, events, isTransaction }, part) =>
        Array.from({ length: events }, () =>
          entryWith<number>({
            stream,
            bytes,
            transaction: isTransaction ? { id: `t${part}` } : undefined,
          }),
        ),
      ),
  );

const bytesOf = (batch: Batch<number>) => batch.reduce((sum, { bytes }) => sum + bytes, 0);

describe("sharesOf", () => {
  it("gives each stream its entries, in their order, and none to another", () => {
    fc.assert(
      fc.property(entries, (entries) => {
        for (const [stream, share] of sharesOf(entries))
          expect(share).toEqual(entries.filter((entry) => entry.stream === stream));
        expect([...sharesOf(entries).values()].flat()).toHaveLength(entries.length);
      }),
    );
  });
});

describe("batchesOf", () => {
  it("loses nothing, changes no order and splits no transaction, and is only too large for one that is itself", () => {
    fc.assert(
      fc.property(
        entries,
        fc.integer({ min: 4, max: 10 }),
        fc.integer({ min: 80, max: 100 }),
        (share, maxItems, maxBytes) => {
          const batches = batchesOf(share, { maxItems, maxBytes });

          expect(batches.flat()).toEqual(share);
          for (const [index, batch] of batches.entries()) {
            expect(batch.length).toBeLessThanOrEqual(maxItems);
            expect(bytesOf(batch)).toBeLessThanOrEqual(maxBytes);
            const id = batch[0]?.transaction?.id;
            if (index > 0 && id !== undefined)
              expect(batches[index - 1]?.at(-1)?.transaction?.id).not.toBe(id);
          }
        },
      ),
    );
  });

  it("splits a transaction that is too large for a batch of its own", () => {
    const share = Array.from({ length: 7 }, () => entryWith<number>({ transaction: { id: "t" } }));
    const batches = batchesOf(share, { maxItems: 2, maxTransactionItems: 3 });

    expect(batches.flat()).toEqual(share);
    expect(batches.length).toBeGreaterThan(1);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BulkWriter, type Word, wordsIn } from "../../../src/redis/wire/bulk.ts";

/** Texts of all kinds, such as ones whose length has more digits in bytes than in characters, and bytes; now and then long. */
const word: fc.Arbitrary<Word> = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  // Half of a pair, which UTF-8 cannot express.
  fc.constant("\ud800 and more"),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 0, max: 100_000 }).map((length) => "x".repeat(length)),
  fc.integer({ min: 0, max: 100_000 }).map((length) => "é".repeat(length)),
);

const bytesOf = (word: Word) => Buffer.from(word as string);
const bulkOf = (word: Word) =>
  Buffer.concat([Buffer.from(`$${bytesOf(word).length}\r\n`), bytesOf(word), Buffer.from("\r\n")]);

describe("a writer of bulk strings", () => {
  it("writes words as Redis reads them, and leaves alone what it has written", () => {
    fc.assert(
      fc.property(fc.array(fc.array(word, { maxLength: 4 }), { maxLength: 20 }), (all) => {
        const writer = new BulkWriter();
        const written = all.map((words) => {
          const [only] = words;
          return words.length === 1 && only !== undefined ? writer.writeOne(only) : writer.write(words);
        });
        for (const [index, { memory, start, end, words, bytes }] of written.entries()) {
          const given = all[index] ?? [];
          expect(memory.subarray(start, end).equals(Buffer.concat(given.map(bulkOf)))).toBe(true);
          expect(words).toBe(given.length);
          expect(bytes).toBe(Buffer.concat(given.map(bytesOf)).length);
        }
      }),
    );
  });

  it("reads them again", () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 10 }), (words) => {
        const read = wordsIn(new BulkWriter().write(words));
        expect(read.map(String)).toEqual(words.map((word) => bytesOf(word).toString()));
      }),
    );
  });

  it("puts what comes one after the other together in memory, of which it takes little for little", () => {
    const writer = new BulkWriter();
    const [first, ...others] = Array.from({ length: 100 }, (_, n) => writer.writeOne(`event ${n}`));
    let end = first?.end;
    for (const next of others) {
      expect(next.memory).toBe(first?.memory);
      expect(next.start).toBe(end);
      end = next.end;
    }
    expect(first?.memory.length).toBe(16 * 1024);
  });

  it("takes no more memory than what is in it, by a third, whatever the size of the words", () => {
    for (const length of [100, 10_000, 70_000, 200_000, 1_000_000]) {
      const writer = new BulkWriter();
      const count = Math.ceil(20_000_000 / length);
      const memories = new Set(
        Array.from({ length: count }, () => writer.writeOne("x".repeat(length)).memory),
      );
      const taken = [...memories].reduce((sum, memory) => sum + memory.length, 0);
      expect(taken / (count * length)).toBeLessThan(4 / 3);
    }
  });
});

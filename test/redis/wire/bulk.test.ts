import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Bulk,
  BulkWriter,
  type Direct,
  notWritten,
  type Word,
  wordsIn,
} from "../../../src/redis/wire/bulk.ts";
import { awkwardWord } from "../../kit/load/awkwardWords.ts";

/** Now and then long. */
const word: fc.Arbitrary<Word> = fc.oneof(
  awkwardWord,
  fc.integer({ min: 0, max: 100_000 }).map((length) => "x".repeat(length)),
  fc.integer({ min: 0, max: 100_000 }).map((length) => "é".repeat(length)),
);

const bytesOf = (word: Word) => Buffer.from(word as string);
const bulkOf = (word: Word) =>
  Buffer.concat([Buffer.from(`$${bytesOf(word).length}\r\n`), bytesOf(word), Buffer.from("\r\n")]);

/** Writes a text as it is, where there is room. */
const direct: Direct = {
  write: (word, memory, start, end) => {
    const bytes = bytesOf(word as Word);
    return start + bytes.length > end ? notWritten : start + bytes.copy(memory, start);
  },
};
const writeDirect = (writer: BulkWriter, word: Word) =>
  writer.writeDirect(direct, word, Number.POSITIVE_INFINITY) ?? writer.writeOne(word);

describe("a writer of bulk strings", () => {
  it("writes words as Redis reads them, and leaves alone what it has written", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(word, { maxLength: 4 }), { maxLength: 20 }),
        fc.func(fc.boolean()),
        (all, isDirect) => {
          const writer = new BulkWriter();
          const written = all.map((words, index) => {
            const [only] = words;
            if (words.length !== 1 || only === undefined) return writer.write(words);
            return isDirect(index) ? writeDirect(writer, only) : writer.writeOne(only);
          });
          for (const [index, { memory, start, end, words, bytes }] of written.entries()) {
            const given = all[index] ?? [];
            expect(memory.subarray(start, end).equals(Buffer.concat(given.map(bulkOf)))).toBe(true);
            expect(words).toBe(given.length);
            expect(bytes).toBe(Buffer.concat(given.map(bytesOf)).length);
          }
        },
      ),
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
    const small = "x".repeat(1000);
    const large = "x".repeat(40_000);
    const lengths = [100, 10_000, 30_000, 33_000, 66_000, 70_000, 130_000, 200_000, 1_000_000];
    const all: readonly (readonly Word[])[] = [
      ...lengths.map((length) => ["x".repeat(length)]),
      // Of many words each may have three bytes a character, for all that one knows.
      Array.from({ length: 20 }, () => "x".repeat(5000)),
      Array.from({ length: 1000 }, () => "x"),
      // What is large ends no piece.
      ...[small, large, small].map((word) => [word]),
    ];
    for (const words of [...all.map((words) => [words]), all]) {
      const writer = new BulkWriter();
      const memories = new Set<Buffer>();
      let written = 0;
      while (written < 20_000_000) {
        for (const one of words) {
          const [only] = one;
          const isOne = one.length === 1 && only !== undefined;
          const { memory, start, end } = isOne ? writer.writeOne(only) : writer.write(one);
          memories.add(memory);
          written += end - start;
        }
      }
      const taken = [...memories].reduce((sum, memory) => sum + memory.length, 0);
      expect(taken / written).toBeLessThan(4 / 3);
    }
  });

  it("writes over nothing that is needed, whatever is released when", () => {
    // Of a size that fills many pieces, each with several.
    const middling = fc.integer({ min: 1000, max: 10_000 }).map((length) => "y".repeat(length));
    const some = fc.array(fc.oneof({ weight: 1, arbitrary: word }, { weight: 6, arbitrary: middling }), {
      maxLength: 3,
    });
    const step = fc.oneof(
      { weight: 4, arbitrary: some.map((words) => ({ words })) },
      { weight: 1, arbitrary: fc.nat(8).map((release) => ({ release })) },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 100, maxLength: 400, size: "max" }), (steps) => {
        const writer = new BulkWriter();
        const needed: { readonly bulk: Bulk; readonly bytes: Buffer }[] = [];
        for (const step of steps) {
          if ("words" in step) {
            const [only] = step.words;
            const isOne = step.words.length === 1 && only !== undefined;
            const some = isOne ? writeDirect(writer, only) : writer.write(step.words);
            const bulk = step.words.length === 0 ? writer.writeNone() : some;
            needed.push({ bulk, bytes: Buffer.concat(step.words.map(bulkOf)) });
          } else {
            const last = needed.splice(0, step.release).at(-1);
            if (last !== undefined) writer.release(last.bulk.memory);
            if (needed.length === 0) writer.rest();
          }
          for (const { bulk, bytes } of needed)
            expect(bulk.memory.compare(bytes, 0, bytes.length, bulk.start, bulk.end)).toBe(0);
        }
      }),
      { numRuns: 30, endOnFailure: true },
    );
  });

  it("takes no more memory than what waits, however much goes through", () => {
    for (const each of [
      ["x".repeat(1000)],
      ["x".repeat(1000), "x".repeat(40_000)],
      ["x".repeat(1000), undefined],
    ]) {
      const writer = new BulkWriter();
      const waiting: Buffer[] = [];
      const pieces = new Set<Buffer>();
      for (let count = 0; count < 20_000; count += 1) {
        const text = each[count % each.length];
        const { memory } = text === undefined ? writer.writeNone() : writer.writeOne(text);
        if (text?.length === 1000) pieces.add(memory);
        waiting.push(memory);
        const [left] = waiting.length > 1000 ? waiting.splice(0, 500).slice(-1) : [];
        if (left !== undefined) writer.release(left);
      }
      // Four while it grows to 256 KiB, of which each holds 80, as each takes room for three bytes a character.
      expect(pieces.size).toBeLessThan(30);
    }
  });

  it("keeps little when nothing waits", () => {
    const writer = new BulkWriter();
    const before = writer.writeOne("first");
    writer.rest();
    expect(writer.writeOne("second").memory).toBe(before.memory);
    for (let count = 0; count < 1000; count += 1) writer.writeOne("x".repeat(1000));
    writer.rest();
    expect(writer.writeOne("third").memory.length).toBe(16 * 1024);
  });
});

import { Readable } from "node:stream";
import fc from "fast-check";
import { none, type Option, some } from "fp-ts/lib/Option.js";
import { from, lastValueFrom, NEVER, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import type { StandardPosition } from "../../src/positions.ts";
import { lines } from "../../src/sources/lines.ts";
import { ndjson } from "../../src/sources/ndjson.ts";

async function read(text: string, after: Option<StandardPosition> = none): Promise<StandardPosition[]> {
  const events = await lastValueFrom(
    ndjson(() => Readable.from([Buffer.from(text)]), "input")(after, NEVER).pipe(toArray()),
  );
  return events.map(({ position }) => position);
}

describe("lines", () => {
  it("splits a text into the same lines, wherever its chunks end", async () => {
    const line = fc.string({ unit: "binary" }).map((text) => text.replace(/[\r\n]/g, ""));
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 7 }), async (texts, size) => {
        const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(""));
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
          bytes.subarray(index * size, (index + 1) * size),
        );
        const found = await lastValueFrom(from(chunks).pipe(lines(), toArray()));
        expect(found).toEqual(texts.map((text) => Buffer.from(text).toString()));
      }),
    );
  });

  it("takes a last line without a line end, and Windows' line ends", async () => {
    const found = await lastValueFrom(from([Buffer.from("a\r\nb")]).pipe(lines(), toArray()));
    expect(found).toEqual(["a", "b"]);
  });
});

describe("ndjson", () => {
  it("takes an event's own position, else its line number, counting blank lines", async () => {
    expect(await read('{"position":"p"}\n\n{}\n{"position":9}\n')).toEqual(["p", 3, 9]);
  });

  it("leaves positions that have an order to the sink", async () => {
    expect(await read("{}\n{}\n", some(1))).toEqual([1, 2]);
  });

  it("goes on behind the event with a position that has no order", async () => {
    expect(await read('{"position":"a"}\n{"position":"b"}\n{"position":"c"}\n', some("b"))).toEqual(["c"]);
  });

  it("says so when that event is not in the input", async () => {
    await expect(read('{"position":"a"}\n', some("z"))).rejects.toThrow("found no event at position z");
  });

  it.each([
    ["[1]", "expected a JSON object"],
    ["nope", "expected a JSON object"],
    ['{"position":{}}', "expected a number or a text"],
  ])("refuses %s, naming the line", async (line, message) => {
    const failure = await read(`{}\n${line}\n`).catch((error) => error.message);
    expect(failure).toContain("input, line 2: found");
    expect(failure).toContain(message);
  });
});

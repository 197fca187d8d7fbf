import { constants } from "node:buffer";
import { PassThrough, Readable } from "node:stream";
import fc from "fast-check";
import {
  BehaviorSubject,
  concat,
  from,
  lastValueFrom,
  map,
  NEVER,
  Observable,
  of,
  range,
  repeat,
  take,
  tap,
  toArray,
} from "rxjs";
import { describe, expect, it } from "vitest";
import type { Flow } from "../../../operators/flow.ts";
import type { StandardPosition } from "../../../src/event/positions.ts";
import { replicate } from "../../../src/pipeline/replicate.ts";
import { redisSink } from "../../../src/sink/redisSink.ts";
import { LineError, lines } from "../../../src/sources/ndjson/lines.ts";
import { ndjson, ndjsonAccess } from "../../../src/sources/ndjson/ndjson.ts";
import { fakeRedis } from "../../../src/testing/index.ts";
import { marbles } from "../../kit/time/marbles.ts";

async function read(text: string | Buffer, after?: StandardPosition): Promise<StandardPosition[]> {
  const events = await lastValueFrom(
    ndjson(() => Readable.from([Buffer.from(text)]), "input")(after, NEVER).pipe(toArray()),
  );
  return events.map(({ position }) => position);
}

/** What a source throws. */
async function messageOf(read: Promise<unknown>): Promise<string> {
  return read.then(
    () => "it did not fail",
    (error) => error.message,
  );
}

const FAILED = new Error("the disk is gone");

/** The bytes in chunks of a size. */
function inChunks(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

describe("lines", () => {
  const chunks = { x: Buffer.from("a\nb\nc"), y: Buffer.from("d\n") };
  const values = { a: "a", b: "b", c: "cd" };
  const flows: Readonly<Record<string, Flow>> = { P: "pause", R: "resume" };

  it(
    "holds what is left of a chunk while paused, and the end behind it",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  ---x-------(y|)     ", chunks);
      const sub = "         ^----------!        ";
      const flow = hot("    --P--R--P--------R  ", flows);
      const expected = "    -----(ab)--------(c|)";

      const result = source.pipe(lines(flow));

      expectObservable(result).toBe(expected, values);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "emits no line more after one that makes it pause",
    marbles(({ cold, hot, expectObservable }) => {
      const flow = new BehaviorSubject<Flow>("resume");
      const source = cold<Buffer>("-(xy)------|", chunks);
      const resume = hot("         --r--r--r--", { r: "resume" as const });
      const expected = "           -ab--c-----|";

      resume.subscribe(flow);
      const result = source.pipe(
        lines(flow),
        tap(() => flow.next("pause")),
      );

      expectObservable(result).toBe(expected, values);
    }),
  );

  it(
    "emits nothing while it starts paused",
    marbles(({ cold, hot, expectObservable }) => {
      const flow = concat(of<Flow>("pause"), hot("--R", flows));
      const source = cold<Buffer>("(xy|)", chunks);
      const expected = "           --(abc|)";

      expectObservable(source.pipe(lines(flow))).toBe(expected, values);
    }),
  );

  it(
    "brings an error of the source out behind the whole lines before it, also while paused",
    marbles(({ cold, hot, expectObservable }) => {
      const flow = hot("           -P---R-- ", flows);
      const source = cold<Buffer>("--x#     ", chunks, FAILED);
      const expected = "           -----(ab#)";

      expectObservable(source.pipe(lines(flow))).toBe(expected, values, FAILED);
    }),
  );

  it(
    "ends with an error of flow",
    marbles(({ cold, hot, expectObservable, expectSubscriptions }) => {
      const source = cold<Buffer>("-----");
      const sub = "                ^-!  ";
      const expected = "           --#  ";

      expectObservable(source.pipe(lines(hot("--#", flows, FAILED)))).toBe(expected, values, FAILED);
      expectSubscriptions(source.subscriptions).toBe(sub);
    }),
  );

  it(
    "lets go of the source and of flow when unsubscribed while paused",
    marbles(({ hot, expectObservable, expectSubscriptions }) => {
      const source = hot("  --x------", chunks);
      const flow = hot("    -P-------", flows);
      const unsub = "       ^---!    ";

      expectObservable(source.pipe(lines(flow)), unsub).toBe("-----");
      expectSubscriptions(source.subscriptions).toBe(unsub);
      expectSubscriptions(flow.subscriptions).toBe([unsub, unsub]);
    }),
  );

  it("leaves its source with pause as the last word when a line pauses from within a resume", () => {
    const flow = new BehaviorSubject<Flow>("pause");
    const heard: Flow[] = [];
    const source = new Observable<Buffer>((subscriber) => {
      subscriber.add(flow.subscribe((signal) => heard.push(signal)));
      subscriber.next(Buffer.from("a\nb\n"));
    });

    source.pipe(lines(flow)).subscribe(() => flow.next("pause"));
    flow.next("resume");

    expect(heard).toEqual(["pause", "resume", "pause"]);
  });

  it("splits a text into the same lines, wherever its chunks end", async () => {
    const line = fc
      .string({ unit: "binary" })
      .map((text) => text.replace(/[\r\n]/g, "").replace(/^\ufeff/, ""));
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 7 }), async (texts, size) => {
        const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(""));
        const found = await lastValueFrom(from(inChunks(bytes, size)).pipe(lines(), toArray()));
        expect(found).toEqual(texts.map((text) => Buffer.from(text).toString()));
      }),
    );
  });

  it.each([
    ["takes a last line without a line end", "a\nb", ["a", "b"]],
    ["takes Windows' line ends, and no more of them", "a\r\n\r\n\nb\r\r\nc\r", ["a", "", "", "b\r", "c"]],
    ["leaves out a byte order mark before the first line alone", "\ufeffa\n\ufeffb\n", ["a", "\ufeffb"]],
  ])("%s", async (_, text, expected) => {
    for (const size of [1, 2, 100]) {
      const found = await lastValueFrom(from(inChunks(Buffer.from(text), size)).pipe(lines(), toArray()));
      expect(found).toEqual(expected);
    }
  });

  it.each([
    ["in the middle", [0x61, 10, 0x62, 10, 0xff, 10, 0x63, 10], ["a", "b"], 3],
    ["at the end, without a line end", [0x61, 10, 0xc3], ["a"], 2],
    ["at the beginning", [0xff, 10, 0x61, 10], [], 1],
  ])("refuses a line that is no UTF-8, %s, behind those before it", (_, bytes, before, number) => {
    for (const size of [1, 3, 100]) {
      const seen: unknown[] = [];
      from(inChunks(Buffer.from(bytes), size))
        .pipe(lines())
        .subscribe({ next: (line) => seen.push(line), error: (error) => seen.push(error) });

      const error = new LineError(number, "found bytes that are no UTF-8, expected text in UTF-8");
      expect(seen).toEqual([...before, error]);
    }
  });

  it("refuses a line that is longer than a text can be", () => {
    const chunk = Buffer.alloc(64 * 1024 * 1024, "x");
    let failure: unknown;

    concat(of(Buffer.from("a\n")), of(chunk).pipe(repeat()))
      .pipe(lines())
      .subscribe({ error: (error) => (failure = error) });

    expect(failure).toMatchObject({
      line: 2,
      reason: `found more than ${constants.MAX_STRING_LENGTH} bytes without a line end, expected a shorter line`,
    });
  });

  it("reads a line of 32 MiB that comes in chunks of 1 KiB, each of which is looked at once", () => {
    // Whoever searched it from its beginning each time would be at it for minutes.
    const chunks = 32 * 1024;
    let length = 0;

    const chunk = Buffer.alloc(1024, "x");
    concat(range(0, chunks).pipe(map(() => chunk)), of(Buffer.from("\n")))
      .pipe(lines())
      .subscribe((line) => (length = line.length));

    expect(length).toBe(chunks * 1024);
  });

  it("stops an endless synchronous source when nobody listens any more", () => {
    const seen: string[] = [];

    range(0, Number.POSITIVE_INFINITY)
      .pipe(
        map(() => Buffer.from("a\nb\n")),
        lines(),
        take(3),
      )
      .subscribe((line) => seen.push(line));

    expect(seen).toEqual(["a", "b", "a"]);
  });
});

describe("ndjson", () => {
  it("takes the events' own positions, or their line numbers, counting blank lines", async () => {
    expect(await read('{"position":7}\n\n{"position":9.5}\n')).toEqual([7, 9.5]);
    expect(await read('{"position":"p"}\n\n{"position":"q"}\n')).toEqual(["p", "q"]);
    expect(await read('{}\n\n{"position":null}\n')).toEqual([1, 3]);
  });

  it("leaves positions that have an order to the sink", async () => {
    expect(await read("{}\n{}\n", 1)).toEqual([1, 2]);
  });

  it("goes on behind the event with a position that has no order", async () => {
    expect(await read('{"position":"a"}\n{"position":"b"}\n{"position":"c"}\n', "b")).toEqual(["c"]);
  });

  it("says so when it ends before the line where the stream ends, and not where there is no line at all", async () => {
    const ended = "found its end at line 3, expected line 4, where the stream ends under this id";
    await expect(read("{}\n\n{}\n", 4)).rejects.toThrow(ended);
    expect(await read("{}\n\n{}\n", 3)).toEqual([1, 3]);
    expect(await read("\n", 4)).toEqual([]);
    expect(await read('{"position":1}\n', 4)).toEqual([1]);
  });

  it("says so when that event is not in the input", async () => {
    await expect(read('{"position":"a"}\n', "z")).rejects.toThrow("found no event at position z");
  });

  it.each([
    ["[1]", "found a list, expected a JSON object"],
    ["7", "found a number, expected a JSON object"],
    ["null", "found null, expected a JSON object"],
    ["nope", "found no JSON, expected a JSON object"],
    ['{"card":4000,}', "found no JSON from character 14 on, expected a JSON object"],
    ['{"position":{}}', "found an object as position, expected a number or a text"],
    ['{"position":true}', "found a boolean as position, expected a number or a text"],
    ['{"position":9007199254740993}', "found the position 9007199254740992, expected at most 2^53 - 1"],
    ['{"position":1e400}', "found the position Infinity, expected at most 2^53 - 1"],
    ['{"position":-1e400}', "found the position -Infinity, expected at most 2^53 - 1"],
  ])("refuses %s, naming the line and quoting nothing of it", async (line, message) => {
    const failure = await messageOf(read(`\n${line}\n`));

    expect(failure).toContain(`input, line 2: ${message}`);
    expect(failure).not.toContain("4000");
  });

  it.each([
    ['{"position":1000}', "{}", "found no position, expected a number as position, as line 1 has it"],
    ["{}", '{"position":1000}', "found a number as position, expected no position, as line 1 has it"],
    ['{"position":"a"}', '{"position":1}', "found a number as position, expected a string as position"],
  ])("refuses positions of several kinds: %s, then %s", async (first, second, message) => {
    expect(await messageOf(read(`${first}\n${second}\n`))).toContain(`input, line 2: ${message}`);
  });

  it("refuses a line that is no UTF-8, behind those before it", async () => {
    const bytes = Buffer.concat([Buffer.from('{}\n{"name":"'), Buffer.from([0xff]), Buffer.from('"}\n')]);
    expect(await messageOf(read(bytes))).toBe(
      "input, line 2: found bytes that are no UTF-8, expected text in UTF-8. The lines before it are published.",
    );
  });

  it("hands the text of a line on as it is, but for a byte order mark before the first", async () => {
    const texts = await lastValueFrom(
      ndjson(() => Readable.from([Buffer.from('\ufeff { "a" : 1e2 }\r\n')]), "input")(undefined, NEVER).pipe(
        toArray(),
      ),
    );
    expect(texts.map((line) => ndjsonAccess.encode(line))).toEqual([' { "a" : 1e2 }']);
  });

  it("passes on an error of the input, behind the lines before it", async () => {
    const input = new PassThrough();
    const seen: unknown[] = [];
    const ended = new Promise<void>((resolve) => {
      ndjson(() => input, "input")(undefined, NEVER).subscribe({
        next: ({ text }) => {
          seen.push(text);
          input.destroy(FAILED);
        },
        error: (error) => {
          seen.push(error);
          resolve();
        },
      });
    });
    input.write("{}\n");
    await ended;

    expect(seen).toEqual(["{}", FAILED]);
  });
});

describe("a sink that reads NDJSON", () => {
  const lineOf = (n: number, bytes: number) => `${JSON.stringify({ id: `${n}`, pad: "x".repeat(bytes) })}\n`;
  const kilobytes = Array.from({ length: 30 }, (_, n) => lineOf(n, 1024)).join("");

  it.each([
    ["one event, in one chunk", { maxEvents: 1 }, "{}\n".repeat(200), 200],
    ["300 events, in one chunk", { maxEvents: 300 }, "{}\n".repeat(20_000), 20_000],
    ["20,000 events, by default, in one chunk", {}, "{}\n".repeat(30_000), 30_000],
    ["64 KiB, and a line of 40 KiB after 30", { maxBytes: 65_536 }, kilobytes + lineOf(31, 40 * 1024), 31],
    ["1 byte", { maxBytes: 1 }, "{}\n".repeat(200), 200],
  ])("never overflows a buffer of %s", async (_, buffer, text, events) => {
    const source = ndjson(() => Readable.from([Buffer.from(text)]), "input");
    const sink = redisSink({
      id: "lines",
      connection: fakeRedis({ latencyMs: 0 }),
      stream: "lines",
      event: ndjsonAccess,
      buffer,
    });

    const checkpoint = await lastValueFrom(replicate({ source, sink }));

    expect(checkpoint.position).toBe(events);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rxaddError } from "../../../src/errors/rxaddError.ts";
import type { EntryContent } from "../../../src/redis/publish/publishPort.ts";
import { wordsIn } from "../../../src/redis/wire/bulk.ts";
import { EventFailure } from "../../../src/sink/encode/attempt.ts";
import { type EncoderSettings, type EncoderTuning, encoder } from "../../../src/sink/encode/encoder.ts";

interface Given {
  readonly id?: string | undefined;
  readonly text?: string | undefined;
  readonly key?: string | undefined;
}

const plain: EncoderTuning = {
  maxEventBytes: 1000,
  deadLetters: undefined,
  partitions: undefined,
  envelope: "native",
  fields: undefined,
};

const encoding = (
  settings: Partial<EncoderSettings<Given, number>> = {},
  tuning: Partial<EncoderTuning> = {},
) => encoder<Given, number>({ id: "shop", stream: "orders", ...settings }, { ...plain, ...tuning });

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const event = fc.record({ id: text, text, key: text }, { requiredKeys: [] });

/** What is written, in texts. */
function shown(content: EntryContent) {
  const { stream, bytes } = content;
  return { stream, words: wordsIn(content).map(String), bytes };
}

/** What is thrown. */
function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

describe("an encoder", () => {
  it("writes the field event alone where nothing else is asked for, and counts its bytes", () => {
    const { publish } = encoding();
    fc.assert(
      fc.property(event, (event) => {
        const payload = JSON.stringify(event);
        const bytes = Buffer.byteLength(payload);
        expect(shown(publish(event))).toEqual({ stream: "orders", words: [payload], bytes });
      }),
    );
  });

  it("writes all names and values where there are more, and counts their bytes but for the name event", () => {
    const { publish } = encoding({
      event: { fields: ({ text = "" }) => ({ text, bytes: Buffer.from(text) }) },
    });
    fc.assert(
      fc.property(event, (event) => {
        const { text = "" } = event;
        const payload = JSON.stringify(event);
        expect(shown(publish(event))).toEqual({
          stream: "orders",
          words: ["event", payload, "text", text, "bytes", text],
          bytes: Buffer.byteLength(`${payload}textbytes${text}${text}`),
        });
      }),
    );
  });

  it("writes names and values as they are given, in place of the field event", () => {
    const { publish } = encoding({ event: { content: ({ text = "" }) => ["a", text] } });
    fc.assert(
      fc.property(event, (event) => {
        const { text = "" } = event;
        const written = { words: ["a", text], bytes: 1 + Buffer.byteLength(text) };
        expect(shown(publish(event))).toEqual({ stream: "orders", ...written });
      }),
    );
  });

  it("writes bytes as they are when it is given them, whatever their type says and whoever changes them later", () => {
    /** Whoever goes by this reads what lies behind it in memory. */
    class Longer extends Uint8Array {
      override get length(): number {
        return 60;
      }
    }
    class Other extends Uint8Array {
      override valueOf(): this {
        return Buffer.from("other") as unknown as this;
      }
    }
    const given = [
      new Longer([1, 2, 3]),
      new Other([1, 2, 3]),
      new Uint8Array(new SharedArrayBuffer(8), 2, 3),
      new Uint8Array(),
      Buffer.from("a\0b"),
    ];
    const written = given.map((bytes) => {
      const { publish } = encoding({
        event: { encode: () => bytes, fields: () => ({ more: bytes.fill(7) }) },
      });
      return shown(publish({})).words[1];
    });

    expect(written).toEqual(["\x01\x02\x03", "\x01\x02\x03", "\0\0\0", "", "a\0b"]);
  });

  it("knows none but the event in hand: whatever was before changes nothing", () => {
    const settings = { stream: (event: Given) => `orders.${event.text}` };
    fc.assert(
      fc.property(fc.array(event), event, (before, event) => {
        const used = encoding(settings);
        for (const one of before) used.publish(one);
        expect(shown(used.publish(event))).toEqual(shown(encoding(settings).publish(event)));
      }),
    );
  });

  it.each<[string, Partial<EncoderSettings<Given, number>>, Partial<EncoderTuning>, string]>([
    ["encode", { event: { encode: fail } }, {}, "encode failed: boom"],
    ["fields", { event: { fields: fail } }, {}, "fields failed: boom"],
    [
      "content",
      { event: { content: () => ["a"] } },
      {},
      "content failed: found 1 names and values, expected as",
    ],
    [
      "a hole in it",
      { event: { content: holed } },
      {},
      "content failed: 2: found nothing, expected text or bytes",
    ],
    ["stream", { stream: fail }, {}, "stream failed: boom"],
    ["the size", {}, { maxEventBytes: 1 }, "found 14 bytes, expected at most 1: raise maxEventBytes"],
  ])("says what is wrong with %s, and of which event once it is told", (_what, settings, tuning, reason) => {
    const failure = thrownBy(() => encoding(settings, tuning).publish({ text: "abc" }));

    expect(failure).toBeInstanceOf(EventFailure);
    expect(String((failure as EventFailure).message)).toMatch(new RegExp(`^${reason}`));
    expect((failure as EventFailure).of("o7").message).toMatch(new RegExp(`^event o7: ${reason}`));
  });

  it.each<[string, Partial<EncoderSettings<Given, number>>]>([
    ["has no stream", { stream: ({ key }) => (key === "bad" ? fail() : "orders") }],
    [
      "is too large in bytes alone",
      { event: { encode: ({ key }) => (key === "bad" ? "é".repeat(501) : "") } },
    ],
  ])("takes no memory for an event that %s", (_what, settings) => {
    const { publish } = encoding(settings);
    const before = publish({});
    thrownBy(() => publish({ key: "bad" }));

    expect(publish({}).start).toBe(before.end);
  });

  it("sets nothing aside without a stream for it", () => {
    expect(encoding().setAside).toBeUndefined();
  });

  it("sets aside what can be had of an event, never more than is allowed of it", () => {
    const cause = rxaddError("EventTooLarge", "event o7: too large");
    const { setAside, passOver } = encoding(
      { stream: fail },
      { deadLetters: { stream: "dead" }, maxEventBytes: 10 },
    );
    fc.assert(
      fc.property(event, (event) => {
        const original = Buffer.from(JSON.stringify(event));
        const written = setAside?.(event, cause, "7");
        const { stream, words } = shown(written ?? passOver());
        expect(stream).toBe("dead");
        expect(words[1]?.length).toBeLessThanOrEqual(10);
        expect(words).toEqual([
          ...["event", original.subarray(0, 10).toString(), "error", "EventTooLarge"],
          ...["reason", cause.message, "sink", "shop", "stream", "", "position", "7"],
          ...["bytes", `${original.length}`],
        ]);
      }),
    );
  });
});

function holed(): string[] {
  const words = ["a"];
  words[3] = "b";
  return words;
}

function fail(): never {
  throw new Error("boom");
}

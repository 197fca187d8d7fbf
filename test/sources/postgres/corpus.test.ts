import { describe, expect, it } from "vitest";
import { recordedCorpus } from "./corpus.ts";
import { referenceEvents } from "./reference/referenceEvents.ts";
import { scenarios } from "./scenarios.ts";

const recordings = recordedCorpus();

describe("what was recorded of a server", () => {
  it("is every scenario", () => {
    expect(recordings.map(({ name }) => name)).toEqual(scenarios.map(({ name }) => name));
  });

  it.each(recordings)("makes the same events, byte for byte: $name", ({ messages, events }) => {
    const sent = messages.map((message) => Buffer.from(message, "base64"));

    expect(referenceEvents(sent, "postgres").map((event) => JSON.stringify(event))).toEqual(events);
  });
});

import { describe, expect, it } from "vitest";
import { streamTemplate } from "../../../src/sink/encode/template.ts";

describe("streamTemplate", () => {
  const event = { id: 7, source: { schema: "public", table: "orders" }, list: [1] };

  it.each([
    ["cdc.${source.schema}.${source.table}", "cdc.public.orders"],
    ["${ source.table }", "orders"],
    ["shard-${id}", "shard-7"],
    ["plain", "plain"],
  ])("fills %s from the event", (template, stream) => {
    expect(streamTemplate(template)(event)).toBe(stream);
  });

  it.each(["${source.missing}", "${list}", "${constructor.name}", "${}", "${source.table.length}"])(
    "fails for %s, which is no text or number of the event's own",
    (template) => {
      expect(() => streamTemplate(template)(event)).toThrow("expected a text or a number");
    },
  );
});

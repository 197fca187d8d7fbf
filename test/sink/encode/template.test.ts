import { describe, expect, it } from "vitest";
import { fieldTemplates, streamTemplate, textTemplate } from "../../../src/sink/encode/template.ts";

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

  it.each([
    ["a:{x}", "a brace"],
    ["}", "a brace"],
    ["a\n*", "a control character"],
    ["a\u0000", "a control character"],
    ["a\u009b", "a control character"],
  ])("takes %j for no part of a key", (tenant, found) => {
    const message = `tenant:\${ tenant }: found ${found} at  tenant  of the event, expected a text without`;

    expect(() => streamTemplate("tenant:${ tenant }")({ tenant })).toThrow(new TypeError(message));
    expect(() => streamTemplate("{tenant}:${tenant}")({ tenant })).toThrow(TypeError);
    expect(textTemplate("${tenant}")({ tenant })).toBe(tenant);
    expect(fieldTemplates({ tenant: "${tenant}" })({ tenant })).toEqual({ tenant });
  });

  it("leaves braces where the template has them, and in the stream that an entry is copied from", () => {
    expect(streamTemplate("tenant:{${tenant}}:\n")({ tenant: "é 🙂 a:b*" })).toBe("tenant:{é 🙂 a:b*}:\n");
    expect(streamTemplate("copy:${stream}")({ stream: "orders:{0}", entryId: "7-0" })).toBe(
      "copy:orders:{0}",
    );
    expect(() => streamTemplate("copy:${stream}")({ stream: "orders:{0}" })).toThrow("found a brace");
  });
});

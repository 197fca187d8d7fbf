import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { configSettings, redisSinkEntry, redisSinkSettings, sources } from "../../src/config/config.ts";
import {
  deltaForgeSettings,
  wrappedPostgresSettings,
  wrappedSinkSettings,
} from "../../src/config/deltaForge.ts";
import type { EventAccess } from "../../src/event/eventAccess.ts";
import { type Setting, Settings } from "../../src/options/settings.ts";
import { programOptions } from "../../src/sink/sinkOptions.ts";

const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");

/** The settings listed under a title, or above the first one. */
function listed(title?: string): string[] {
  const section = title === undefined ? page.split("\n## ")[0] : page.split(`\n## ${title}\n`)[1];
  return (section?.split("\n## ")[0] ?? "").split("\n").filter((line) => line.startsWith("| `"));
}

/** The row that a codec asks for. `none`: what stands for no default where a setting may be left out. */
function row(name: string, { codec, fallback, isOptional, meaning }: Setting<unknown>, none: string): string {
  const type = codec instanceof Settings ? "an object" : codec.name;
  const missing = isOptional ? none : "—";
  const shown = name.endsWith("_secs") ? Number(fallback) / 1000 : fallback;
  const standard = fallback === undefined ? missing : `\`${stringify(shown).trim()}\``;
  return `| \`${name}\` | ${type} | ${standard} | ${meaning} |`;
}

function settingsOf({ shape }: { readonly shape: object }): [string, Setting<unknown>][] {
  return Object.entries(shape);
}

/** The rows of settings and of the groups among them. */
function rows(settings: { readonly shape: object }, none: string, prefix = ""): string[] {
  return settingsOf(settings).flatMap(([name, setting]) =>
    setting.codec instanceof Settings
      ? rows(setting.codec, none, `${prefix}${name}.`)
      : [row(`${prefix}${name}`, setting, none)],
  );
}

/** The rows of just these settings. */
function flatRows(settings: { readonly shape: object }, prefix = ""): string[] {
  return settingsOf(settings).map(([name, setting]) => row(`${prefix}${name}`, setting, "none"));
}

describe("docs/configuration.md", () => {
  it("begins with the four settings that most sinks need", () => {
    expect(listed().map((line) => /`(\w+)`/.exec(line)?.[1])).toEqual(["id", "uri", "stream", "required"]);
  });

  it("lists exactly the settings of a Redis sink, with their types and defaults", () => {
    expect([...listed(), ...listed("A Redis sink")]).toEqual(rows(redisSinkSettings, "none"));
  });

  it.each([
    ["A PostgreSQL source", sources.postgres],
    ["A file as the source", sources.ndjson],
    ["A Redis Stream as the source", sources.redis],
  ])("lists exactly the settings under: %s", (title, settings) => {
    expect(listed(title)).toEqual(rows(settings, "none"));
  });

  it("lists exactly the settings of the whole file", () => {
    const [pipeline, source, sinks, commit] = flatRows(configSettings);
    expect(listed("The whole")).toEqual([
      pipeline,
      source,
      sinks,
      ...flatRows(redisSinkEntry, "sinks[]."),
      commit,
    ]);
  });

  it("lists exactly the settings of a file of DeltaForge, but for those that are as in ours", () => {
    const other = (settings: { readonly shape: object }, ours: { readonly shape: object }) => ({
      shape: Object.fromEntries(
        settingsOf(settings).filter(([name, setting]) =>
          Object.entries(ours.shape).every(([own, { codec }]) => own !== name || codec !== setting.codec),
        ),
      ),
    });
    expect(listed("A file of DeltaForge")).toEqual([
      ...rows(deltaForgeSettings, "none"),
      ...rows(other(wrappedPostgresSettings, sources.postgres), "none", "spec.source.config."),
      ...rows(other(wrappedSinkSettings, redisSinkSettings), "none", "spec.sinks[].config."),
    ]);
  });

  it("lists what only a program can say", () => {
    const ofEvent: Record<keyof EventAccess<unknown, unknown>, true> = {
      ...{
        id: true,
        position: true,
        transaction: true,
        time: true,
        encode: true,
        fields: true,
        content: true,
      },
    };
    const names = listed("In a program").flatMap((line) => line.split("|")[1]?.match(/[\w.]+/g) ?? []);
    expect(names.toSorted()).toEqual(
      [
        ...["connection", "stream", "key", "trim", "observers"],
        ...Object.keys(ofEvent).map((name) => `event.${name}`),
        // `metrics` is an old name.
        ...programOptions.filter((name) => name !== "event" && name !== "metrics"),
      ].toSorted(),
    );
  });
});

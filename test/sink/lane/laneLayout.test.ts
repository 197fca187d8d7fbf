import { describe, expect, it } from "vitest";
import { laneLayout, type Streams } from "../../../src/sink/lane/laneLayout.ts";

const streams = {
  fixed: { stream: "orders" },
  partitioned: { stream: "orders", partitions: 2 },
  template: { stream: "orders.$" + "{region}" },
  "partitioned template": { stream: "orders.$" + "{region}", partitions: 2 },
  function: { stream: () => "orders" },
  "partitioned function": { stream: () => "orders", partitions: 2 },
} as const satisfies Readonly<Record<string, Omit<Streams, "id">>>;

/** The one lane of a stream, of all streams that are computed, or how each stream has one. */
const layouts = {
  own: (deadLetters: string | undefined) => ({
    kind: "one",
    keys: { stream: "orders", state: "{orders}:rxadd:shop", mark: "{orders}:rxadd:shop:mark", deadLetters },
  }),
  shared: (deadLetters: string | undefined) => ({
    kind: "one",
    keys: { stream: undefined, state: "rxadd:shop", mark: "rxadd:shop:mark", deadLetters },
  }),
  each: () => ({ kind: "perStream", ledgerKey: "rxadd:shop", keysOf: expect.any(Function) }),
};

const servers = { "a server": false, "a Cluster": true } as const;

const table: readonly [keyof typeof streams, keyof typeof servers, keyof typeof layouts][] = [
  ["fixed", "a server", "own"],
  ["fixed", "a Cluster", "own"],
  ["partitioned", "a server", "shared"],
  ["partitioned", "a Cluster", "each"],
  ["template", "a server", "shared"],
  ["template", "a Cluster", "each"],
  ["partitioned template", "a server", "shared"],
  ["partitioned template", "a Cluster", "each"],
  ["function", "a server", "shared"],
  ["function", "a Cluster", "each"],
  ["partitioned function", "a server", "shared"],
  ["partitioned function", "a Cluster", "each"],
];

describe("laneLayout", () => {
  it("has a row here for each kind of stream on each kind of server", () => {
    expect(table).toHaveLength(Object.keys(streams).length * Object.keys(servers).length);
  });

  it.each(table)("of a %s stream on %s is: %s", (stream, server, layout) => {
    for (const deadLetters of [undefined, { stream: "orders.dead" }]) {
      const options = { id: "shop", ...streams[stream], deadLetters };
      expect(laneLayout(options, servers[server])).toEqual(layouts[layout](deadLetters?.stream));
    }
  });

  it("gives each stream a lane in its own slot, and those of dead letters one like all others", () => {
    const layout = laneLayout({ id: "shop", stream: () => "", deadLetters: { stream: "dead" } }, true);
    const keysOf = layout.kind === "perStream" ? layout.keysOf : undefined;
    for (const stream of ["orders.eu", "dead"]) {
      const state = `{${stream}}:rxadd:shop`;
      expect(keysOf?.(stream)).toEqual({ stream, state, mark: `${state}:mark`, deadLetters: undefined });
    }
  });
});

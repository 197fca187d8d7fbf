import { expect } from "vitest";
import type { ErrorTag, SinkOptions } from "../../src/index.ts";
import type { Numbered } from "../kit/load/pacedNumbers.ts";
import { readEvents, tally } from "../kit/load/tally.ts";
import { exactlyOnce, type Fault, fault, faults, type Scene } from "./harness/fault.ts";
import { type OneServer, oneServer } from "./harness/oneServer.ts";
import { killConnections } from "./harness/serverView.ts";
import { stream } from "./harness/writers.ts";

const deadLetters = "orders.dead";

/** Every so many events one cannot be published. */
function isPoison(n: number, every: number): boolean {
  return n % every === 0;
}

type Settings = Partial<SinkOptions<Numbered, number>>;

/** Events of which JSON cannot express some. */
function unencodable(every: number): Settings {
  return {
    event: {
      encode: (event) => {
        if (isPoison(event.n, every)) throw new TypeError("no JSON for this");
        return JSON.stringify(event);
      },
    },
  };
}

/** Events of which some have 1.5 MB. */
function oversized(every: number): Settings {
  const huge = "x".repeat(1_500_000);
  return {
    event: { encode: (event) => JSON.stringify(isPoison(event.n, every) ? { ...event, note: huge } : event) },
  };
}

/** Counts the good ones in the stream, the poisonous ones in the dead letters, each in its own order. */
function setAside(every: number): Pick<Fault<OneServer>, "promise" | "count"> {
  return {
    promise: { ...exactlyOnce, text: "0 / 0 / 0: each in the stream or in the dead letters" },
    count: async ({ server: { client } }, events) => {
      const good = (await readEvents(client, stream)).map((event) => Number(JSON.parse(event).n));
      const letters = await client.xrange(deadLetters, "-", "+");
      const dead = letters.map(([, fields]) => Number(fields[fields.indexOf("position") + 1]));
      expect(good.filter((n) => isPoison(n, every))).toEqual([]);
      expect(dead.filter((n) => !isPoison(n, every))).toEqual([]);
      const { inversions } = tally(good, events);
      return {
        ...tally([...good, ...dead], events),
        inversions: inversions + tally(dead, events).inversions,
      };
    },
  };
}

function killed({ bed }: Pick<Scene<OneServer>, "bed">): Promise<unknown> {
  return killConnections(bed.server);
}

/** The server's limit is below an event until the sink has met it. */
function limited(
  setting: string,
  meet: (scene: Scene<OneServer>) => Promise<unknown>,
): Fault<OneServer>["inject"] {
  return async (scene) => {
    const { client } = scene.bed.server;
    const [, before = ""] = (await client.config("GET", setting)) as string[];
    const met = meet(scene);
    await client.config("SET", setting, "1mb");
    await met;
    await client.config("SET", setting, before);
  };
}

async function ends({ load }: Scene<OneServer>, tag: ErrorTag): Promise<string> {
  const { message } = await load.failed(tag);
  return message;
}

faults("poison", () => {
  for (const publish of ["script", "multi"] as const) {
    fault({
      fault: `every 97th event cannot be encoded, connections killed (${publish})`,
      times: { short: 10, long: 60 },
      bed: () => oneServer([], { publish, deadLetters: { stream: deadLetters }, ...unencodable(97) }),
      inject: async (scene) => {
        await killed(scene);
      },
      ...setAside(97),
    });
  }

  for (const limit of ["proto-max-bulk-len", "client-query-buffer-limit"]) {
    fault({
      fault: `every 997th event is above ${limit} and maxEventBytes, connections killed`,
      times: { short: 5, long: 30 },
      bed: () =>
        oneServer([`--${limit}`, "1mb"], {
          deadLetters: { stream: deadLetters },
          maxEventBytes: 200_000,
          ...oversized(997),
        }),
      inject: async (scene) => {
        await killed(scene);
      },
      ...setAside(997),
    });
  }

  fault({
    fault: "an event above proto-max-bulk-len alone, until that is raised",
    times: { short: 2, long: 10 },
    bed: () => oneServer([], oversized(9973)),
    inject: limited("proto-max-bulk-len", async (scene) => {
      expect(await ends(scene, "EventTooLarge")).toMatch(/largest event \d+ has 1500\d+ bytes/);
      queueMicrotask(scene.load.start);
    }),
  });

  fault({
    fault: "an event above client-query-buffer-limit alone, until that is raised",
    times: { short: 2, long: 10 },
    bed: () => oneServer([], oversized(9973)),
    inject: limited("client-query-buffer-limit", ({ load }) =>
      load.status(
        ({ state, ...status }) =>
          state === "retrying" &&
          "cause" in status &&
          `${status.cause}`.includes("client-query-buffer-limit"),
      ),
    ),
  });
});

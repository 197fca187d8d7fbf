import { expect } from "vitest";
import { readEvents, type Tally, tally } from "../kit/load/tally.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";
import { exactlyOnce, type Fault, fault, faults, type Scene } from "./harness/fault.ts";
import { type OneServer, oneServer } from "./harness/oneServer.ts";
import { sinkConnections } from "./harness/serverView.ts";
import { state, stream } from "./harness/writers.ts";

/** The number of an entry's event. */
function numberOf(event: string): number {
  return Number(JSON.parse(event).n);
}

/** A server, and how many entries somebody has taken away. */
interface Robbed extends OneServer {
  taken: number;
}

async function robbed(settings: OneServer["settings"] = {}): Promise<Robbed> {
  return { ...(await oneServer([], settings)), taken: 0 };
}

type OnRobbed = Pick<Scene<Robbed>, "bed" | "load">;

/** Just what somebody else took away is gone. */
const restInOrder: Pick<Fault<Robbed>, "promise" | "afterwards"> = {
  promise: {
    text: "what somebody took away is gone, all else is there once and in order",
    holds: ({ entries, lost, duplicates, inversions }: Tally, events: number) =>
      expect({ duplicates, inversions, entries }).toEqual({
        duplicates: 0,
        inversions: 0,
        entries: events - lost,
      }),
  },
  afterwards: ({ bed, found }) => {
    expect(found.lost).toBe(bed.taken);
    expect(bed.taken).toBeGreaterThan(0);
  },
};

/** Takes all away, and puts a text in its place if there is one. */
async function takeStream(bed: Robbed, text?: string): Promise<void> {
  const transaction = bed.server.client.multi().xlen(stream);
  if (text === undefined) transaction.del(stream);
  else transaction.set(stream, text);
  const [length] = (await transaction.exec()) ?? [];
  bed.taken += Number(length?.[1]);
}

const rewound = {
  ...exactlyOnce,
  text: "0 / 0 / 0 from a source that has everything: rewound to the beginning",
};

/** A new stream every so many events. */
const perStream = 2000;

function streamOf(n: number): string {
  return `orders.${Math.ceil(n / perStream)}`;
}

const exhausted = "18446744073709551615-18446744073709551615";

faults("keys", () => {
  fault({
    fault: "the stream does not exist: the first XADD makes it",
    times: { short: 5, long: 100 },
    between: [1, 5],
    bed: () => oneServer([], { stream: ({ n }) => streamOf(n) }),
    inject: ({ load, index }) => load.reach((index + 1) * perStream),
    count: async ({ server }, events) => {
      const numbers: number[] = [];
      for (let n = 1; n <= events; n += perStream) {
        const ours = (await readEvents(server.client, streamOf(n))).map(numberOf);
        expect(ours.filter((number) => streamOf(number) !== streamOf(n))).toEqual([]);
        numbers.push(...ours);
      }
      return tally(numbers, events);
    },
    promise: { ...exactlyOnce, text: `0 / 0 / 0 in streams of ${perStream}` },
  });

  for (const publish of ["script", "multi"] as const) {
    fault({
      fault: `the stream deleted (${publish})`,
      times: { short: 3, long: 20 },
      bed: () => robbed({ publish }),
      inject: async ({ bed, load }: OnRobbed) => {
        const told = load.status(
          (status) => status.state === "warning" && status.message.includes("was deleted"),
        );
        await takeStream(bed);
        await told;
      },
      ...restInOrder,
    });

    fault({
      fault: `the stream replaced by a text, and that removed (${publish})`,
      times: { short: 3, long: 20 },
      bed: () => robbed({ publish }),
      inject: async ({ bed, load }: OnRobbed) => {
        await takeStream(bed, "a text");
        const { message } = await load.failed("WrongType");
        expect(message).toContain(`${stream} holds a string`);
        await bed.server.client.del(stream);
        load.start();
      },
      ...restInOrder,
    });

    fault({
      fault: `the stream's last possible ID reached, and set back (${publish})`,
      times: { short: 3, long: 20 },
      bed: () => oneServer([], { publish }),
      inject: async ({ bed: { server }, load }) => {
        await server.client.call("XSETID", stream, exhausted);
        const { message } = await load.failed("Refused");
        expect(message).toContain("exhausted the last possible ID");
        const [newest] = await server.client.xrevrange(stream, "+", "-", "COUNT", 1);
        await server.client.call("XSETID", stream, newest?.[0] ?? "");
        load.start();
      },
    });

    fault({
      fault: `the producer state deleted under a writer, and restored (${publish})`,
      times: { short: 3, long: 20 },
      bed: () => oneServer([], { publish }),
      inject: async ({ bed, load }) => {
        const { client } = bed.server;
        // In one step, so that the copy is the last state.
        await client.rename(state, "kept");
        await load.failed("ProducerStateMissing");
        await client.rename("kept", state);
        load.start();
      },
    });
  }

  fault({
    fault: "the producer state deleted between two writers, and restored",
    times: { short: 3, long: 20 },
    bed: () => oneServer(),
    inject: async ({ bed, load }) => {
      const { client } = bed.server;
      load.crash();
      // What it has sent may still be applied until Redis has seen its connection end.
      await waitUntil(async () => (await sinkConnections(bed.server)).length === 0);
      await client.rename(state, "kept");
      for (let start = 0; start < 2; start += 1) {
        load.start();
        await load.failed("ProducerStateMissing");
      }
      await client.rename("kept", state);
      load.start();
    },
  });

  fault({
    fault: "the stream and its producer state deleted",
    times: { short: 2, long: 8 },
    bed: () => oneServer(),
    inject: async ({ bed, load }) => {
      const goneBack = load.status((status) => status.state === "rewound");
      await bed.server.client.del(stream, state);
      await goneBack;
    },
    promise: rewound,
  });

  fault({
    fault: "trimmed by somebody else (XTRIM MAXLEN)",
    times: { short: 20, long: 150 },
    bed: () => robbed(),
    inject: async ({ bed }) => {
      bed.taken += await bed.server.client.xtrim(stream, "MAXLEN", 1000);
    },
    ...restInOrder,
  });

  fault({
    fault: "single entries deleted (XDEL)",
    times: { short: 20, long: 150 },
    bed: () => robbed(),
    inject: async ({ bed, random }) => {
      const page = await bed.server.client.xrevrange(stream, "+", "-", "COUNT", random.between(1, 100));
      bed.taken += await bed.server.client.xdel(stream, page.at(-1)?.[0] ?? "");
    },
    ...restInOrder,
  });

  fault({
    fault: "the stream's last ID set an hour ahead (XSETID), as after a clock set back",
    times: { short: 5, long: 40 },
    bed: () => oneServer(),
    inject: async ({ bed, index }) => {
      await bed.server.client.call("XSETID", stream, `${Date.now() + (index + 1) * 3_600_000}-0`);
    },
  });

  fault({
    fault: "entries of somebody else between ours",
    times: { short: 50, long: 300 },
    bed: () => oneServer(),
    inject: async ({ bed }) => {
      await bed.server.client.xadd(stream, "*", "event", '{"n":0}');
    },
    between: [1, 2],
    count: async ({ server }, events) => {
      const numbers = (await readEvents(server.client, stream)).map(numberOf);
      return tally(
        numbers.filter((n) => n > 0),
        events,
      );
    },
    promise: { ...exactlyOnce, text: "0 / 0 / 0 of ours" },
  });
});

import { inspect } from "node:util";
import { Subject } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import { fanOut, redisSink, replicate, type Sink, type SinkStatus } from "../../src/index.ts";
import { emptyRedis } from "../kit/servers/emptyRedis.ts";
import { waitUntil } from "../kit/time/waitUntil.ts";

const redis = emptyRedis();

interface Event {
  readonly position: number;
}

/** A sink, and what it has told of itself. */
function told(id: string, more: object = {}) {
  const states: SinkStatus["state"][] = [];
  const status = { next: ({ state }: SinkStatus) => states.push(state) };
  return { states, sink: redisSink<Event>({ id, uri: redis.uri, stream: `of ${id}`, status, ...more }) };
}

/** Replicates until Redis loses everything, which takes the source back; `retry` says when. */
async function losing(
  sink: Sink<Event, number>,
  retry: object,
): Promise<{ end: unknown; unsubscribe: () => void }> {
  const live = new Subject<Event>();
  let end: unknown;
  let checkpoints = 0;
  const running = replicate<Event, number>({ source: () => live, sink, retry }).subscribe({
    next: () => {
      checkpoints += 1;
    },
    error: (error) => {
      end = error;
    },
  });
  onTestFinished(() => running.unsubscribe());
  await waitUntil(() => live.observed);
  live.next({ position: 1 });
  await waitUntil(() => checkpoints === 1);
  await redis.client.flushall();
  live.next({ position: 2 });
  return {
    get end() {
      return end;
    },
    unsubscribe: () => running.unsubscribe(),
  };
}

describe("a sink that has ended says that it is closed, once", () => {
  it("after a loss that is not to be made good", async () => {
    const { sink, states } = told("a");
    const run = await losing(sink, { maxRetries: 0 });
    await waitUntil(() => run.end !== undefined);
    expect(run.end).toMatchObject({ _tag: "RewindRequired" });
    expect(states.slice(-2)).toEqual(["rewound", "closed"]);
  });

  it("when it is unsubscribed while it waits to go back", async () => {
    const { sink, states } = told("a");
    const run = await losing(sink, { initialMs: 10_000 });
    await waitUntil(() => states.includes("rewound"));
    run.unsubscribe();
    expect(states.slice(-2)).toEqual(["rewound", "closed"]);
  });

  it("as one of several, each of them", async () => {
    const sinks = [told("a"), told("b")];
    const run = await losing(
      fanOut(
        sinks.map(({ sink }) => sink),
        "all",
      ),
      { maxRetries: 0 },
    );
    await waitUntil(() => run.end !== undefined);
    for (const { states } of sinks) {
      expect(states.filter((state) => state === "closed")).toHaveLength(1);
      expect(states.at(-1)).toBe("closed");
    }
  });

  it("when it cannot even open a connection, and shows nothing of what should have been a file", async () => {
    const { sink, states } = told("a", { tls: { cert: "s3cr3t", key: "s3cr3t" } });
    const failure = await new Promise((error) => new Subject<Event>().pipe(sink).subscribe({ error }));
    expect(failure).toMatchObject({ _tag: "ConfigurationInvalid" });
    expect(inspect(failure)).toContain("tls.cert: found neither a PEM text");
    expect(inspect(failure, { depth: 9 })).not.toContain("s3cr3t");
    expect(states).toEqual(["connecting", "closed"]);
  });
});

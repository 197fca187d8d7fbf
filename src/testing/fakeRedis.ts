import { asyncScheduler, EMPTY, NEVER, type SchedulerLike } from "rxjs";
import { TestScheduler } from "rxjs/testing";
import { rxaddError } from "../errors/rxaddError.ts";
import { refuseUnknown } from "../options/decodeOptions.ts";
import type { Effect } from "../redis/group/settlement.ts";
import { type FakeServer, openFake } from "../redis/publish/fakeServer.ts";
import type { Connection, ConnectionOptions } from "../redis/publish/publishConnection.ts";
import { computedLaneKeys, laneKeys } from "../redis/publish/publishPort.ts";
import { fakeLine, known } from "./fakeLine.ts";
import { fakeReaders } from "./fakeReaders.ts";
import { MemoryRedis } from "./memoryRedis.ts";
import type { FakeEntry } from "./memoryStream.ts";

/** How a {@link fakeRedis} behaves. */
export interface FakeRedisOptions {
  /**
   * What happens when, as a marble string from now on; time goes by as within `TestScheduler.run` (`-` is 1 ms, ` 3s `). Each sign holds until the
   * next one:
   * - `o` all is well;
   * - `x` the connection is lost, and Redis out of reach;
   * - `m` it is out of memory, `r` it is a replica: either refuses what it would have to write, and still says what it has;
   * - `f` another writer takes over the sink, once;
   * - `1` to `9` it loses so many of the newest batches, and what came between them, as in a failover, once.
   *
   * Default: all is well.
   */
  readonly replies?: string;
  /** From sending a command to its answer, in ms; Redis does it half-way. Default 2. */
  readonly latencyMs?: number;
  /** Where time comes from. Default: the clock, which `TestScheduler.run` makes virtual. */
  readonly scheduler?: SchedulerLike;
}

/** A Redis in memory, for tests; see {@link fakeRedis}. */
export interface FakeRedis extends FakeServer {
  /** The entries of a stream, oldest first. */
  readonly entries: (stream: string) => readonly FakeEntry[];
  /** The field `event` of each of them. */
  readonly events: (stream: string) => readonly string[];
  /** The position that is stored for a sink; of a sink with computed streams without `stream`. */
  readonly position: (sinkId: string, stream?: string) => string | undefined;
  /** Leaves a sink at a position, as an earlier run does; `stream` as for `position`. A number reads `42`. */
  readonly setPosition: (sinkId: string, position: string, stream?: string) => void;
  /** Adds an entry of names and values, alternating, as another program does, also while a sink is refused; returns its ID. */
  readonly xadd: (stream: string, ...content: readonly string[]) => string;
  /** Makes a key hold a text, as SET does: a sink then finds `WrongType`. */
  readonly set: (key: string) => void;
  /** What a group has handed out and not settled, oldest first. */
  readonly pending: (
    stream: string,
    group: string,
  ) => readonly { readonly entryId: string; readonly consumer: string; readonly deliveries: number }[];
  /** What handlers returned as `effects`, in the order in which it was written; it is not done here. */
  readonly effects: readonly Effect[];
  /** Deletes a key; a producer state is `{orders}:rxadd:<sink id>`, see docs/guarantees.md. */
  readonly del: (key: string) => void;
}

const refusals: Readonly<Record<string, string>> = {
  m: "OOM command not allowed when used memory > 'maxmemory'.",
  r: "READONLY You can't write against a read only replica.",
};

/**
 * A Redis in memory, for testing pipelines with marbles: what a real server answers to a sink, to `groupDeliveries` and to
 * `streamEntries`, it answers, and what a failing one does, it does when it is told.
 *
 * Give it to them as their `connection`, and `retry: { jitter: 0 }` so that retries come at known times; `replicate` has
 * a `retry` of its own.
 *
 * - **Time** begins when it is made: make it inside of `TestScheduler.run`, or, without consumers, give it and the sink a
 *   `scheduler`. A consumer has to end for the test to do so.
 * - **In flight** what was sent is done, also when the sink has been unsubscribed meanwhile, unless the line is cut first.
 * - **Not there** a Cluster, eviction, replicas: `durability` is fulfilled at once, and `trim` removes only what is exact
 *   (`approximate: false`); effects are not done. What else takes a connection refuses it by its type.
 * - **Misuse** throws `ConfigurationInvalid` for `replies` that say nothing, or an `xadd` without names and values.
 *
 * @example
 * ```ts
 * const redis = fakeRedis({ replies: "m 3s o" });
 * const sink = redisSink({ id: "orders", connection: redis, stream: "orders", retry: { jitter: 0 } });
 * expectObservable(hot("-a|", { a: order }).pipe(sink)).toBe("…");
 * ```
 */
export function fakeRedis(options: FakeRedisOptions = {}): FakeRedis {
  refuseUnknown("fakeRedis", options, { replies: true, latencyMs: true, scheduler: true });
  const { replies = "o", latencyMs = 2, scheduler = asyncScheduler } = options;
  const happenings = timetable(replies);
  const memory = new MemoryRedis(happenings.reduce((sum, { sign }) => sum + (Number(sign) || 0), 0));
  const line = fakeLine(latencyMs, scheduler);

  function happen(sign: string): void {
    if (sign === "f") memory.takeOver();
    else if (/[1-9]/.test(sign)) memory.changing(() => memory.lose(Number(sign)));
    else {
      memory.refuseWrites(refusals[sign]);
      line.put(sign !== "x");
    }
  }

  for (const { frame, sign } of happenings) {
    if (frame === 0) happen(sign);
    else scheduler.schedule(() => happen(sign), frame);
  }

  const publishing = ({ trim }: Pick<ConnectionOptions, "trim">): Connection => ({
    publishPort: {
      open: (keys, owner, adopt) => line.call(() => memory.open(keys, owner, adopt)),
      publish: (keys, batch) =>
        line.call(() => memory.changing(() => memory.publish(keys, batch, scheduler.now(), trim))),
    },
    isCluster: false,
    ready$: line.back$,
    failure$: NEVER,
    warnings$: EMPTY,
    close$: EMPTY,
    unsubscribe: () => {},
  });

  return {
    [openFake]: { publishing, ...fakeReaders({ memory, line, scheduler }) },
    entries: (stream) => memory.entries(stream),
    events: (stream) => memory.entries(stream).map(eventOf),
    position: (sinkId, stream) => memory.position(stateKeyOf(sinkId, stream)),
    setPosition: (sinkId, position, stream) =>
      memory.setPosition(
        stateKeyOf(sinkId, stream),
        position,
        stream === undefined ? "" : (memory.entries(stream).at(-1)?.entryId ?? ""),
      ),
    xadd: (stream, ...content) => {
      if (content.length === 0 || content.length % 2 !== 0) {
        throw rxaddError(
          "ConfigurationInvalid",
          `fakeRedis: xadd ${stream}: found ${content.length} words, expected names and values, alternating`,
        );
      }
      return known(() => memory.changing(() => memory.add(stream, content, scheduler.now())));
    },
    set: (key) => memory.set(key),
    del: (key) => memory.changing(() => memory.delete(key)),
    pending: (stream, group) =>
      [...memory.pending(stream, group)].map(([entryId, { consumer, deliveries }]) => ({
        entryId,
        consumer,
        deliveries,
      })),
    effects: memory.settling.effects,
  };
}

function stateKeyOf(sinkId: string, stream: string | undefined): string {
  return (stream === undefined ? computedLaneKeys(sinkId) : laneKeys(stream, sinkId)).state;
}

/** The value of its field `event`; empty: it has none. */
function eventOf({ content }: FakeEntry): string {
  const name = content.findIndex((word, index) => index % 2 === 0 && word === "event");
  return name < 0 ? "" : (content[name + 1] ?? "");
}

/** As within `TestScheduler.run`, where `-` is 1 ms; outside of it that would be 10. */
class InMs extends TestScheduler {
  static override frameTimeFactor = 1;
}

/** What happens when, in ms. */
function timetable(replies: string): readonly { readonly frame: number; readonly sign: string }[] {
  return InMs.parseMarbles(replies, undefined, undefined, false, true).flatMap(({ frame, notification }) => {
    const sign = notification.kind === "N" ? String(notification.value) : "";
    if (/^[oxmrf1-9]$/.test(sign)) return [{ frame, sign }];
    throw rxaddError(
      "ConfigurationInvalid",
      `fakeRedis: replies: found ${sign || "the end of an Observable"} in ${replies}, expected o, x, m, r, f or a digit`,
    );
  });
}

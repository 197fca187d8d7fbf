import fc from "fast-check";
import type { Direction } from "../../kit/network/tcpProxy.ts";
import type { LogKind } from "./log.ts";

/** How a process publishes: by `replicate`, by a sink that resumes, or by a sink at the end of a pipe that begins anew. */
export type Way = "replicate" | "resuming" | "pipe";

/** What happens in a history. A writer is named by a number, modulo how many there are. */
export type Step =
  /** Another process opens the sink, reads the log up to its end and so many events further. */
  | { readonly do: "open"; readonly way: Way; readonly events: number }
  | { readonly do: "publish"; readonly writer: number; readonly events: number }
  /** Its source reads again what it has emitted, so many events of it, as after a reconnect of its own. */
  | { readonly do: "replay"; readonly writer: number; readonly events: number }
  /** The process is paused, or the network: what it sends, or what it is told, waits. */
  | { readonly do: "hold"; readonly writer: number; readonly direction: Direction }
  | { readonly do: "release"; readonly writer: number }
  /** Its connections break; what is held still arrives. */
  | { readonly do: "cut"; readonly writer: number }
  /** The process dies; what is held still arrives. */
  | { readonly do: "die"; readonly writer: number }
  /** Redis forgets everything; connections stay. */
  | { readonly do: "flush" }
  /** Redis is killed and started again. */
  | { readonly do: "restart"; readonly keepsData: boolean }
  /** The replica gets no more from now on. */
  | { readonly do: "lag" }
  /** The replica takes over, with what it has; in a Cluster that of this node. */
  | { readonly do: "failover"; readonly node: number }
  | { readonly do: "deleteState"; readonly how: "delete" | "rename" }
  | { readonly do: "deleteStream"; readonly stream: number; readonly how: "delete" | "rename" }
  /** So many entries more, and the stream has no ID left. */
  | { readonly do: "exhaust"; readonly stream: number; readonly left: number }
  /** In the server in memory: so many of the newest batches are gone. */
  | { readonly do: "lose"; readonly batches: number };

/** A history: how the log is made, how large batches and buffer are, and what happens. */
export interface History {
  readonly log: LogKind;
  readonly perBatch: number;
  /** Of the buffer, in events. */
  readonly buffer: number;
  readonly steps: readonly Step[];
}

/** What can be done to a kind of server. */
export interface Can {
  /** Hold what goes through a connection. */
  readonly hold: boolean;
  readonly restart: boolean;
  readonly failover: boolean;
  readonly exhaust: boolean;
  readonly lose: boolean;
  /** Of a sink with computed streams, how many; else 1. */
  readonly streams: number;
}

const writer = fc.nat({ max: 3 });
const events = fc.integer({ min: 1, max: 5 });
const how = fc.constantFrom("delete" as const, "rename" as const);

/** Histories for a kind of server. */
export function histories(can: Can, logs: readonly [LogKind, ...LogKind[]]): fc.Arbitrary<History> {
  const stream = fc.nat({ max: can.streams - 1 });
  const step = <S extends Step["do"]>(name: S, fields: object, weight: number, isThere = true) =>
    isThere
      ? [{ arbitrary: fc.record({ do: fc.constant(name), ...fields }) as fc.Arbitrary<Step>, weight }]
      : [];
  const open: fc.Arbitrary<Step> = fc.record({
    do: fc.constant("open"),
    way: fc.constantFrom("replicate", "resuming", "pipe"),
    events: fc.nat({ max: 3 }),
  });
  const steps = fc.oneof(
    { withCrossShrink: true },
    ...step("publish", { writer, events }, 40),
    { arbitrary: open, weight: 25 },
    ...step("replay", { writer, events }, 5),
    ...step("hold", { writer, direction: fc.constantFrom("requests", "replies") }, 15, can.hold),
    ...step("release", { writer }, 15, can.hold),
    ...step("cut", { writer }, 10, can.hold),
    ...step("die", { writer }, 5),
    ...step("flush", {}, 10, !can.lose),
    ...step("restart", { keepsData: fc.boolean() }, 1, can.restart),
    ...step("lag", {}, 5, can.failover),
    ...step("failover", { node: fc.nat({ max: 2 }) }, 5, can.failover),
    ...step("deleteState", { how }, 5),
    ...step("deleteStream", { stream, how }, 5),
    ...step("exhaust", { stream, left: fc.integer({ min: 1, max: 3 }) }, 3, can.exhaust),
    ...step("lose", { batches: fc.integer({ min: 1, max: 5 }) }, 15, can.lose),
  );
  return fc.record({
    log: fc.constantFrom(...logs),
    perBatch: fc.integer({ min: 1, max: 3 }),
    buffer: fc.constantFrom(100, 8),
    steps: fc
      .tuple(open, fc.array(steps, { minLength: 1, maxLength: 16, size: "max" }))
      .map(([first, others]) => [first, ...others]),
  });
}

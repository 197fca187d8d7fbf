import fc from "fast-check";

/** How many sinks a pipeline has, and which of them it needs. */
export type Policy = "one" | "optional" | "all" | "quorum";

/** What happens; `sink` is the number of one, beginning at the first. */
export type Happening =
  /** The source goes on, with events or without one; `together`: in one transaction, at one position. */
  | { readonly do: "append"; readonly events: number; readonly together: boolean }
  | { readonly do: "idle" }
  /** The process begins anew; `overlap`: before the one before it has ended. */
  | {
      readonly do: "restart";
      readonly acceptHole: boolean;
      readonly adopt: boolean;
      readonly overlap: boolean;
    }
  /** It is killed in the midst of so many events. */
  | { readonly do: "crash"; readonly events: number; readonly together: boolean; readonly ms: number }
  /** A sink loses its connection in the midst of so many events. */
  | { readonly do: "cut"; readonly sink: number; readonly events: number; readonly ms: number }
  /** Redis loses all of a sink, with the mark or without it, or one of its keys alone, or the newest of it. */
  | { readonly do: Loss; readonly sink: number }
  | { readonly do: "loseNewest"; readonly sink: number; readonly batches: number }
  /** Redis is away, is out of memory, or takes no writes, until it is up again; `restart`: the process begins anew meanwhile. */
  | {
      readonly do: "down";
      readonly sink: number;
      readonly how: "x" | "m" | "r";
      readonly restart: boolean;
    }
  | { readonly do: "up"; readonly sink: number }
  /** From the next start on a sink has another id, or another stream. */
  | { readonly do: "rename"; readonly sink: number; readonly what: "id" | "stream" }
  /** The source loses its mark, as when somebody drops a slot; or all that it has, and its positions begin again. */
  | { readonly do: "dropMark" | "makeAnew" };

export type Loss = "empty" | "loseAll" | "loseState" | "loseMark";

export interface History {
  readonly policy: Policy;
  /** Whether the positions name their log; without that it is not made anew. */
  readonly named: boolean;
  /** So many of the newest positions the source keeps longer than it has to: that far a sink can go back. */
  readonly keeps: number;
  readonly happenings: readonly Happening[];
}

/** The number of sinks. */
export function sinksOf(policy: Policy): number {
  return { one: 1, optional: 2, all: 2, quorum: 3 }[policy];
}

const sink = fc.nat(2);
const events = fc.integer({ min: 1, max: 25 });
const together = fc.constantFrom(false, false, true);
const ms = fc.nat(8);
const now = <A extends string>(...names: readonly A[]) => fc.constantFrom(...names);

const weighted = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: now("append"), events, together }) },
  { weight: 2, arbitrary: fc.record({ do: now("idle") }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: now("restart"),
      acceptHole: fc.constantFrom(false, false, false, true),
      adopt: fc.constantFrom(false, false, false, true),
      overlap: fc.constantFrom(false, false, true),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: now("crash"), events: fc.integer({ min: 0, max: 30 }), together, ms }),
  },
  { weight: 1, arbitrary: fc.record({ do: now("cut"), sink, events, ms }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom<Loss[]>("empty", "empty", "loseAll", "loseState", "loseMark"),
      sink,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: now("loseNewest"), sink, batches: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: now("down"), sink, how: now("x", "x", "m", "r"), restart: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: now("up"), sink }) },
  { weight: 1, arbitrary: fc.record({ do: now("rename"), sink, what: now("id", "stream") }) },
  { weight: 1, arbitrary: fc.record({ do: now("dropMark", "dropMark", "makeAnew") }) },
);

export const histories: fc.Arbitrary<History> = fc.record({
  policy: fc.constantFrom<Policy[]>("one", "optional", "optional", "all", "quorum"),
  named: fc.boolean(),
  keeps: fc.constantFrom(0, 0, 40),
  happenings: fc.array(weighted, { minLength: 2, maxLength: 14 }),
});

/**
 * Whether a start may be refused, by what has happened to each sink; `mayLag`: of those that are not waited for, one may lack
 * something besides.
 */
export function mayBeRefused(policy: Policy, troubled: ReadonlySet<number>, mayLag: boolean): boolean {
  if (policy === "quorum") return troubled.size + (mayLag ? 1 : 0) > 1;
  return troubled.has(0) || (policy === "all" && troubled.has(1));
}

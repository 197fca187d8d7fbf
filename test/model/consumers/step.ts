import fc from "fast-check";

/** What an entry is like. */
export type EntryKind =
  | "good"
  /** Its handler throws at once, the first time. */
  | "throws"
  /** A good event beside fields that are no text, doubled, or named as those of dead letters. */
  | "odd"
  /** Nothing that can be decoded. */
  | "garbage";

export interface NewEntry {
  readonly kind: EntryKind;
  /** Which order it belongs to; where deduplicated, which event it is. */
  readonly key: number;
}

/** How a handler ends: what it decides, or whether it throws. */
export type Ending = "succeed" | "fail" | "giveBack" | "retry" | "setAside";

const endings: readonly Ending[] = ["succeed", "succeed", "fail", "fail", "giveBack", "retry", "setAside"];

/** What happens in a history. A consumer is named by its slot, a task by its place among those that run there. */
export type Step =
  | { readonly do: "add"; readonly stream: number; readonly entries: readonly NewEntry[] }
  /** A process starts as the consumer of a slot, if none runs there. */
  | { readonly do: "join"; readonly slot: number }
  /** A handler ends. */
  | { readonly do: "finish"; readonly slot: number; readonly task: number; readonly how: Ending }
  /** The process dies, whatever it handles. */
  | { readonly do: "die"; readonly slot: number }
  | { readonly do: "cut"; readonly slot: number }
  /** CLIENT KILL for all. */
  | { readonly do: "kill" }
  /** The process freezes, or the network does. */
  | { readonly do: "hold"; readonly slot: number }
  | { readonly do: "release"; readonly slot: number }
  /** What it has counts as idle for so long that others claim it. */
  | { readonly do: "idle"; readonly slot: number }
  /** Somebody else claims one of its deliveries, and acknowledges it. */
  | { readonly do: "take"; readonly slot: number; readonly entry: number }
  /** A failover loses an acknowledgement, with its effect. */
  | { readonly do: "forget"; readonly entry: number }
  | { readonly do: "delete"; readonly stream: number; readonly entry: number }
  | { readonly do: "trim"; readonly stream: number; readonly keep: number }
  /** Somebody puts all dead letters back. */
  | { readonly do: "redrive" }
  /** `until` emits. */
  | { readonly do: "drain"; readonly slot: number };

/** A history: how the consumers are made, and what happens. */
export interface History {
  readonly streams: 1 | 2;
  readonly window: number;
  readonly concurrency: number;
  readonly orders: boolean;
  readonly deduplicates: boolean;
  /** Handled by many, without order, effects or marks. */
  readonly batches: boolean;
  /** What is settled leaves its stream. */
  readonly removes: boolean;
  /** With dead letters, after how many deliveries; 0: without. */
  readonly maxDeliveries: number;
  /** Whether consumers that are silent, and hold nothing, are taken out of the group as early as may be, living ones too. */
  readonly forgets: boolean;
  readonly steps: readonly Step[];
}

const slot = fc.nat({ max: 2 });
const which = fc.nat({ max: 5 });

function stepsOf(streams: number, hasDeadLetters: boolean): fc.Arbitrary<Step> {
  const stream = fc.nat({ max: streams - 1 });
  const kinds: readonly EntryKind[] = hasDeadLetters
    ? ["good", "good", "good", "throws", "odd", "garbage"]
    : ["good", "good", "throws"];
  const entry = fc.record({ kind: fc.constantFrom(...kinds), key: fc.nat({ max: 2 }) });
  const step = <S extends Step["do"]>(name: S, weight: number, fields: object = {}) => ({
    arbitrary: fc.record({ do: fc.constant(name), ...fields }) as fc.Arbitrary<Step>,
    weight,
  });
  return fc.oneof(
    { withCrossShrink: true },
    step("add", 6, { stream, entries: fc.array(entry, { minLength: 1, maxLength: 6 }) }),
    step("join", 5, { slot }),
    step("finish", 10, { slot, task: fc.nat({ max: 2 }), how: fc.constantFrom(...endings) }),
    step("die", 3, { slot }),
    step("cut", 2, { slot }),
    step("kill", 1),
    step("hold", 1, { slot }),
    step("release", 2, { slot }),
    step("idle", 2, { slot }),
    step("take", 1, { slot, entry: which }),
    step("forget", 2, { entry: which }),
    step("delete", 1, { stream, entry: which }),
    step("trim", 1, { stream, keep: fc.nat({ max: 3 }) }),
    step("redrive", hasDeadLetters ? 2 : 0),
    step("drain", 1, { slot }),
  );
}

export const histories: fc.Arbitrary<History> = fc
  .record({
    streams: fc.constantFrom(1 as const, 2 as const),
    window: fc.constantFrom(100, 4),
    concurrency: fc.integer({ min: 1, max: 3 }),
    orders: fc.boolean(),
    deduplicates: fc.constantFrom(false, false, true),
    batches: fc.constantFrom(false, false, true),
    removes: fc.constantFrom(false, false, true),
    maxDeliveries: fc.constantFrom(0, 2, 3),
    forgets: fc.boolean(),
  })
  .map((how) => (how.batches ? { ...how, orders: false, deduplicates: false } : how))
  .chain((how) =>
    fc
      .array(stepsOf(how.streams, how.maxDeliveries > 0), { minLength: 3, maxLength: 24, size: "max" })
      .map((steps) => ({ ...how, steps })),
  );

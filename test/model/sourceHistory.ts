import fc from "fast-check";

/** How many sinks a pipeline has, and which of them it needs. */
export type Policy = "one" | "optional" | "quorum";

/** What happens; `sink` is the number of one, beginning at the first. */
export type Happening =
  /** The source goes on, with events or without one. */
  | { readonly do: "append"; readonly events: number }
  | { readonly do: "idle" }
  /** The process begins anew; it is killed in the midst of so many events. */
  | { readonly do: "restart"; readonly acceptHole: boolean }
  | { readonly do: "crash"; readonly events: number; readonly ms: number }
  /** Redis loses what it has of a sink, the newest of it, or the producer state alone. */
  | { readonly do: "loseAll" | "loseState"; readonly sink: number }
  | { readonly do: "loseNewest"; readonly sink: number; readonly batches: number }
  | { readonly do: "down" | "up"; readonly sink: number }
  /** The source loses its mark, as when somebody drops a slot. */
  | { readonly do: "dropMark" };

export interface History {
  readonly policy: Policy;
  readonly happenings: readonly Happening[];
}

/** The number of sinks. */
export function sinksOf(policy: Policy): number {
  return { one: 1, optional: 2, quorum: 3 }[policy];
}

const sink = fc.nat(2);
const weighted = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("append" as const), events: fc.integer({ min: 1, max: 25 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("idle" as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("restart" as const),
      acceptHole: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("crash" as const),
      events: fc.integer({ min: 0, max: 30 }),
      ms: fc.nat(8),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("loseAll" as const, "loseState" as const), sink }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("loseNewest" as const),
      sink,
      batches: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("down" as const, "up" as const), sink }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("dropMark" as const) }) },
);

export const histories: fc.Arbitrary<History> = fc.record({
  policy: fc.constantFrom<Policy>("one", "optional", "optional", "quorum"),
  happenings: fc.array(weighted, { minLength: 2, maxLength: 14 }),
});

/** Whether the pipeline may end with an error because of what has happened: nothing that was spared does that. */
export function mayBeRefused({ policy, happenings }: History): boolean {
  const touched = new Set<number>();
  for (const happening of happenings) {
    if (happening.do === "dropMark") return true;
    const isLoss = /^lose/.test(happening.do) || (policy === "quorum" && happening.do === "down");
    if (isLoss && "sink" in happening) touched.add(happening.sink);
  }
  return policy === "quorum" ? touched.size > 1 : touched.has(0);
}

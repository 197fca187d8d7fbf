import { groupKeys } from "../redis/group/groupKeys.ts";
import type { MemoryKeys, Said } from "./memoryKeys.ts";

/** One consumer of a group. */
export interface Member {
  readonly group: string;
  readonly consumer: string;
  readonly claimIdleMs: number;
}

const nothing: Said = { patienceMs: 0, aliveMs: Number.NEGATIVE_INFINITY };

/** What the consumers of a group have said of themselves. */
export function said(keys: MemoryKeys, stream: string, group: string) {
  const { consumers } = groupKeys(stream, group);
  const all = keys.at(consumers, "consumers")?.said ?? new Map<string, Said>();
  const put = (next: ReadonlyMap<string, Said>) => keys.put(consumers, { kind: "consumers", said: next });
  const by = (consumer: string) => all.get(consumer) ?? nothing;
  return {
    by,
    introduce: (consumer: string, patienceMs: number) => {
      if (all.get(consumer)?.patienceMs !== patienceMs)
        put(new Map(all).set(consumer, { ...nothing, patienceMs }));
    },
    isAlive: (consumer: string, aliveMs: number) =>
      put(new Map(all).set(consumer, { ...by(consumer), aliveMs })),
    forget: (consumer: string) => put(new Map([...all].filter(([other]) => other !== consumer))),
  };
}

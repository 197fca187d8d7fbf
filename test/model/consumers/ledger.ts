import type { EntryKind } from "./step.ts";

/** An entry of a stream, and all that is known of what became of it. */
export interface Item {
  readonly stream: string;
  readonly entryId: string;
  readonly kind: EntryKind;
  /** What it is ordered by. */
  readonly key: string;
  /** The field of the hash of effects that it raises by one. */
  readonly effect: string;
  readonly fields: readonly Buffer[];
  /** How often a handler was started on it. */
  started: number;
  /** How often a consumer that was about to start a handler on it alone died, or lost it, before it did. */
  missed: number;
  /** How often its handler succeeded. */
  succeeded: number;
  /** How often a handler gave it back. */
  givenBack: number;
  /** Whether a handler set it aside. */
  isSetAside: boolean;
  /** How often a consumer said that it is acknowledged. */
  acknowledged: number;
  /** Which one said so last. */
  acknowledgedBy: string;
  /** Whether a consumer had it. */
  wasDelivered: boolean;
  /** Whether it was deleted or trimmed. */
  isGone: boolean;
  /** Whether a consumer said that it is gone, or another one's. */
  wasTold: boolean;
  /** Whether somebody outside has acknowledged it. */
  isTaken: boolean;
  /** Whether its dead letter was put back: another entry stands for it. */
  isRedriven: boolean;
}

/** All entries of a history. */
export interface Ledger {
  readonly add: (item: Pick<Item, "stream" | "entryId" | "kind" | "key" | "effect" | "fields">) => void;
  readonly at: (stream: string, entryId: string) => Item | undefined;
  readonly all: () => readonly Item[];
}

export function makeLedger(): Ledger {
  const items = new Map<string, Item>();
  const nameOf = (stream: string, entryId: string) => `${stream} ${entryId}`;
  return {
    add: (item) =>
      items.set(nameOf(item.stream, item.entryId), {
        ...item,
        started: 0,
        missed: 0,
        succeeded: 0,
        givenBack: 0,
        isSetAside: false,
        acknowledged: 0,
        acknowledgedBy: "",
        wasDelivered: false,
        isGone: false,
        wasTold: false,
        isTaken: false,
        isRedriven: false,
      }),
    at: (stream, entryId) => items.get(nameOf(stream, entryId)),
    all: () => [...items.values()],
  };
}

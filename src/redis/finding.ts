import type { BatchNumber, PublishReply } from "./publisher.ts";

/** The fields of a producer state, as Redis has them. */
export type StoredState = { readonly [Field in "epoch" | "sequence" | "position" | "owner"]: string | null };

/** The fields that HMGET is asked for, in the order of {@link storedStateOf}. */
export const stateFields = ["epoch", "sequence", "position", "owner"] as const;

/** Reads the answer of HMGET to {@link stateFields}. */
export function storedStateOf(values: unknown): StoredState {
  const [epoch = null, sequence = null, position = null, owner = null] = (
    Array.isArray(values) ? values : []
  ).map((value: unknown) => (typeof value === "string" ? value : null));
  return { epoch, sequence, position, owner };
}

/** The comparison of `publishScript`; undefined: the batch is the next one. */
export function findingOf(
  state: StoredState,
  streamStands: boolean,
  { epoch, sequence }: BatchNumber,
): PublishReply | undefined {
  if (state.epoch === null || state.sequence === null) return { reply: "missing", streamStands };
  const position = state.position ?? "";
  const storedEpoch = Number(state.epoch);
  const storedSequence = Number(state.sequence);
  if (storedEpoch > epoch) return { reply: "fenced", epoch: storedEpoch };
  if (storedEpoch < epoch) return { reply: "outdated", position };
  if (storedSequence >= sequence) return { reply: "published", entryId: "", isRenewed: false };
  if (storedSequence < sequence - 1) return { reply: "gap", sequence: storedSequence, position };
  return undefined;
}

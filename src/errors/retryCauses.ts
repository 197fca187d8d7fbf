import type { SinkError } from "./sinkError.ts";

type RetryCause = Extract<SinkError, { readonly kind: "retryable" | "unknown" }>["_tag"];

/** The compiler keeps this list complete: a tag too many or too few is an error. */
const causes: { readonly [Cause in RetryCause]: true } = {
  Unreachable: true,
  OutOfMemory: true,
  ReadOnlyReplica: true,
  Loading: true,
  Busy: true,
  NotEnoughReplicas: true,
  PersistenceFailing: true,
  ClusterDown: true,
  SlotMoving: true,
  TooManyClients: true,
  ScriptMissing: true,
  Contended: true,
  EarlierBatchFailed: true,
  ConnectionLost: true,
};

/** Every `_tag` of an error that a sink retries. */
export const retryCauses: readonly string[] = Object.keys(causes);

import * as t from "io-ts";
import type { ConsumerFigures, StreamGroup } from "../../telemetry/groupFigures.ts";
import { decodeReply, fieldsOf, numberIfKnown } from "../wire/replies.ts";

const Groups = t.array(
  fieldsOf({
    name: t.string,
    consumers: t.number,
    pending: t.number,
    "last-delivered-id": t.string,
    lag: numberIfKnown,
  }),
);

/** Reads what XINFO GROUPS answers. */
export function groupsOf(reply: unknown): readonly StreamGroup[] {
  return decodeReply(
    "XINFO GROUPS",
    Groups,
  )(reply).map((found) => ({
    group: found.name,
    consumers: found.consumers,
    pending: found.pending,
    lastDeliveredId: found["last-delivered-id"],
    lag: found.lag ?? undefined,
  }));
}

const Consumers = t.array(fieldsOf({ name: t.string, pending: t.number, idle: t.number }));

/** Reads what XINFO CONSUMERS answers. */
export function consumersOf(reply: unknown): readonly ConsumerFigures[] {
  return decodeReply(
    "XINFO CONSUMERS",
    Consumers,
  )(reply).map(({ name, pending, idle }) => ({ name, pending, idleMs: idle }));
}

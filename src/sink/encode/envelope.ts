import { kindOf } from "../../errors/thrown.ts";
import type { EventOrigin, Operation } from "../../event/changeEvent.ts";
import { idOf, readProperty } from "../../event/eventAccess.ts";

/**
 * How a change event stands in its entry's field `event`:
 * - `native`: as it is;
 * - `debezium`: `{"payload": {before, after, source, op, ts_ms, transaction}}`, as Debezium's JSON has it without schemas;
 * - `cloudevents`: a CloudEvent 1.0 in structured JSON, with the change as its data;
 * - `raw`: the row alone as it is now, `null` after a delete.
 */
export type Envelope = (typeof envelopes)[number];

/** All envelopes. */
export const envelopes = ["native", "debezium", "cloudevents", "raw"] as const;

/** What a sink may be told: with `flat` there is no field `event`, but one for each column. */
export const sinkEnvelopes = [...envelopes, "flat"] as const;

/** Makes the function that encodes an event. It throws a TypeError that says what the event lacks. */
export function encoderOf(envelope: Envelope): (event: unknown) => string {
  const toValue = envelopeOf(envelope);
  return (event) => toJson(toValue(event));
}

/** Makes the function that says what stands in JSON for an event; it throws likewise. */
export function envelopeOf(envelope: Envelope): (event: unknown) => unknown {
  switch (envelope) {
    case "native":
      return (event) => event;
    case "debezium":
      return (event) => ({ payload: changeOf(event) });
    case "cloudevents":
      return cloudEventOf;
    case "raw":
      return (event) => changeOf(event).after;
  }
}

/** What a change event says of a change. */
interface Change {
  readonly before: unknown;
  readonly after: unknown;
  readonly source: unknown;
  readonly op: Operation;
  readonly ts_ms: unknown;
  readonly transaction: unknown;
}

/** By operation: the end of a CloudEvent's type. */
const verbs: Readonly<Record<Operation, string>> = {
  c: "created",
  u: "updated",
  d: "deleted",
  r: "read",
  t: "truncated",
  m: "emitted",
};

/** Whether it is that of a change event. */
export function isOperation(op: unknown): op is Operation {
  return typeof op === "string" && Object.hasOwn(verbs, op);
}

/** What is too long to be meant as an operation may be anything. */
function shown(op: unknown): string {
  return typeof op === "string" && op.length <= 10 ? JSON.stringify(op) : kindOf(op);
}

function changeOf(event: unknown): Change {
  const op = readProperty(event, "op");
  if (!isOperation(op))
    throw new TypeError(`found op ${shown(op)}, expected one of ${Object.keys(verbs).join(", ")}`);
  return {
    before: readProperty(event, "before") ?? null,
    after: readProperty(event, "after") ?? null,
    source: readProperty(event, "source") ?? {},
    op,
    ts_ms: readProperty(event, "ts_ms") ?? null,
    transaction: readProperty(event, "transaction") ?? null,
  };
}

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md */
function cloudEventOf(event: unknown): object {
  const change = changeOf(event);
  const id = idOf(event);
  if (id === undefined || id === "") throw new TypeError("found no id, which a CloudEvent needs");
  const origin = (change.source ?? {}) as EventOrigin;
  const subject = readProperty(event, "key");
  return {
    specversion: "1.0",
    id,
    source: sourceOf(origin),
    type: `rxadd.change.${verbs[change.op]}`,
    ...(typeof subject === "string" && subject !== "" && { subject }),
    ...(typeof change.ts_ms === "number" && { time: new Date(change.ts_ms).toISOString() }),
    datacontenttype: "application/json",
    data: change,
  };
}

/** A path, such as `/postgresql/shop/public/orders`. */
function sourceOf({ connector, db, schema, table }: EventOrigin): string {
  const parts = [connector, db, schema, table].filter((part) => typeof part === "string" && part !== "");
  return `/${parts.map((part) => encodeURIComponent(part ?? "")).join("/")}`;
}

/** JSON, with bigints as text; the plain form is tried first because a replacer makes it several times slower. */
export function toJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? part.toString() : part));
  }
  if (text === undefined) throw new TypeError(`found ${typeof value}, which JSON cannot express`);
  return text;
}

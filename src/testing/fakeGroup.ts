import { asyncScheduler, EMPTY, of, type SchedulerLike } from "rxjs";
import { backoffMs } from "../../operators/retryBackoff.ts";
import { type Delivery, type Failure, type Settler, settledBy, type Told } from "../consumer/delivery.ts";
import { scheduler as schedulerCodec } from "../options/callbacks.ts";
import { countOrAll } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { type DelayOptions, redelivery as redeliverySetting } from "../options/retryOptions.ts";
import { optional, Settings, withDefault } from "../options/settings.ts";
import type { Effect } from "../redis/group/settlement.ts";

/** How a {@link fakeGroup} behaves. */
export interface FakeGroupOptions {
  /** After so many a delivery that fails is a dead letter, >= 1. Default: never. */
  readonly maxDeliveries?: number;
  /** Default: as `groupDeliveries` has it, without jitter. */
  readonly redelivery?: DelayOptions;
  readonly scheduler?: SchedulerLike;
}

/** A consumer group in memory: what pipelines of deliveries are tested with, marbles included. */
export interface FakeGroup<E> {
  /** A new entry, handed out for the first time. */
  readonly delivery: (event: E) => Delivery<E>;
  /** Entry IDs, in the order in which they were acknowledged. */
  readonly acknowledged: readonly string[];
  /** What was written along with acknowledgements; for a mark that is remembered nothing is, as in Redis. */
  readonly effects: readonly Effect[];
  readonly deadLetters: readonly { readonly entryId: string; readonly reason: unknown }[];
  /** Entry IDs of those that a handler gave back; they do not come again here. */
  readonly givenBack: readonly string[];
}

const stream = "memory";

const settings = new Settings({
  max_deliveries: withDefault(
    countOrAll,
    Number.POSITIVE_INFINITY,
    "After how many a delivery is a dead letter",
  ),
  redelivery: redeliverySetting,
  scheduler: optional(schedulerCodec, "For the delays"),
}).inProgram();

/**
 * Makes a consumer group that lives in memory and answers at once.
 *
 * - **Misuse** throws `ConfigurationInvalid` at once, with all that is wrong with the options.
 *
 * @example
 * ```ts
 * const group = fakeGroup<Order>();
 * const source = hot("-a|", { a: group.delivery(order) });
 * expectObservable(source.pipe(acknowledge(mail))).toBe("-a|", …);
 * ```
 */
export function fakeGroup<E>(options: FakeGroupOptions = {}): FakeGroup<E> {
  const { maxDeliveries } = decodeOptions(settings, "fakeGroup", options, []);
  const { redelivery, scheduler = asyncScheduler } = options;
  const acknowledged: string[] = [];
  const effects: Effect[] = [];
  const deadLetters: { entryId: string; reason: unknown }[] = [];
  const givenBack: string[] = [];
  const processed = new Set<string>();
  // What is written down of a delivery elsewhere, as inTransaction does, is of this one alone.
  const group = `memory:${crypto.randomUUID()}`;
  let entries = 0;

  function fail(
    entryId: string,
    content: readonly string[],
    deliveries: number,
    failure: Failure,
    told: Told,
  ): void {
    if (failure.kind === "dead" || (failure.kind === "failed" && deliveries >= maxDeliveries)) {
      deadLetters.push({ entryId, reason: failure.reason });
      told.next("acknowledged");
    } else {
      scheduler.schedule(
        () =>
          told.next({
            again: settlerOf(entryId, content, failure.kind === "failed" ? deliveries + 1 : deliveries),
          }),
        failure.delayMs ?? backoffMs(deliveries, { maxMs: 60_000, jitter: 0, ...redelivery }),
      );
    }
  }

  const settlerOf = (entryId: string, content: readonly string[], deliveries: number): Settler => ({
    stream,
    group,
    entryId,
    content,
    deliveries,
    mayStart: () => true,
    start: (begin) => begin(undefined),
    settle: (verdict, told) => {
      if (verdict.kind === "left") {
        givenBack.push(entryId);
        told.next("kept");
      } else if (verdict.kind !== "handled") fail(entryId, content, deliveries, verdict, told);
      else {
        const { mark } = verdict;
        acknowledged.push(entryId);
        if (mark === undefined || !processed.has(mark.id)) effects.push(...verdict.effects);
        if (mark !== undefined) processed.add(mark.id);
        told.next("acknowledged");
      }
    },
    processed: (ids) => of(ids.map((id) => processed.has(id))),
    horizon: () => EMPTY,
  });

  return {
    delivery: (event) => {
      entries += 1;
      const entryId = `${entries}-0`;
      const fields = { event: JSON.stringify(event) ?? "" };
      const content = ["event", fields.event];
      const settler = settlerOf(entryId, content, 1);
      return { stream, entryId, fields, content, event, deliveries: 1, [settledBy]: settler };
    },
    acknowledged,
    effects,
    deadLetters,
    givenBack,
  };
}

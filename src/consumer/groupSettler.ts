import { merge, type Observable, Subscription, take, timer, type Unsubscribable } from "rxjs";
import { backoffMs } from "../../operators/retryBackoff.ts";
import type { ConsumerReport } from "./consumerReport.ts";
import type { ConsumerStatus } from "./consumerStatus.ts";
import type { GroupTuning } from "./consumerTuning.ts";
import { type DeadLetterCause, deadLetterFields, reasonOf } from "./deadLetterFields.ts";
import type { Delivery, Settler, StreamEntry } from "./delivery.ts";
import type { Held, Holding } from "./held.ts";
import type { Settling } from "./settling.ts";

interface GroupSettlerOptions {
  readonly tuning: GroupTuning;
  readonly consumer: string;
  readonly held: Held;
  readonly settlements: Settling;
  readonly processed: Settler<unknown>["processed"];
  /** Emits when nothing shall be tried again. */
  readonly stop$: Observable<unknown>;
  readonly report: (status: ConsumerStatus) => void;
  readonly metrics: ConsumerReport | undefined;
}

/** The settler of one consumer, and what else becomes of its deliveries. */
export interface GroupSettler<E> extends Settler<E>, Unsubscribable {
  /** Sets an entry aside; `refused` is called if Redis does not take it. */
  readonly setAside: (
    entry: Holding & Pick<StreamEntry<E>, "fields">,
    cause: DeadLetterCause,
    reason: string,
    deadLetters: string,
    done: (refusal?: Error) => void,
  ) => void;
  /** Acknowledges what nobody has to handle. */
  readonly dismiss: (stream: string, entryId: string) => void;
  /** Tells Redis that all that is held is alive; finds out what is not this consumer's any more. */
  readonly keepAlive: () => void;
}

/** Settles deliveries with Redis. */
export function groupSettler<E>({
  tuning,
  consumer,
  held,
  settlements,
  processed,
  stop$,
  report,
  metrics,
}: GroupSettlerOptions): GroupSettler<E> {
  const { group, claimIdleMs, redelivery, maxDeliveries, deadLetters } = tuning;
  const waiting = new Subscription();
  let isStopping = false;
  let hasLost = false;
  let beats = 0;
  waiting.add(
    stop$.subscribe(() => {
      isStopping = true;
    }),
  );

  function isHeld({ stream, entryId, deliveries }: Holding): boolean {
    return held.get(stream, entryId)?.deliveries === deliveries;
  }

  /** Nothing has to be looked up as long as nothing was lost. */
  const holds = (holding: Holding) => !hasLost || isHeld(holding);

  function lose(holding: Holding): void {
    if (!isHeld(holding)) return;
    hasLost = true;
    held.remove(holding);
    report({ state: "lost", stream: holding.stream, entryId: holding.entryId });
  }

  function hold(
    { stream, entryId }: Holding,
    deliveries: number,
    idleMs: number,
    done: (isKept: boolean) => void,
  ): void {
    settlements.ask({
      kind: "hold",
      stream,
      entryId,
      deliveries,
      idleMs,
      keep: 0,
      done: (outcome) => done(outcome === "settled"),
    });
  }

  function tryAgain(delivery: Delivery<E>, done: (again?: Delivery<E>) => void): void {
    const deliveries = delivery.deliveries + 1;
    hold(delivery, deliveries, 0, (isKept) => {
      if (isKept) {
        const again = { ...delivery, deliveries };
        held.add(again);
        metrics?.delivered(1);
        done(again);
      } else {
        lose(delivery);
        done();
      }
    });
  }

  /** Counts as idle for so long that any other consumer may claim it at once. */
  function handBack(delivery: Delivery<E>, done: () => void): void {
    hold(delivery, delivery.deliveries, claimIdleMs, () => {
      done();
      held.remove(delivery);
    });
  }

  function tryLater(delivery: Delivery<E>, reason: unknown, done: (again?: Delivery<E>) => void): void {
    const { stream, entryId, deliveries } = delivery;
    const delayMs = backoffMs(deliveries, redelivery);
    report({ state: "rejected", stream, entryId, deliveries, delayMs, reason });
    const wait = merge(timer(delayMs), stop$)
      .pipe(take(1))
      .subscribe(() => {
        waiting.remove(wait);
        if (isStopping) handBack(delivery, done);
        else tryAgain(delivery, done);
      });
    waiting.add(wait);
  }

  const settler: GroupSettler<E> = {
    holds,

    acknowledge: (delivery, effects, done) => {
      const { stream, entryId, mark } = delivery;
      settlements.ask({
        kind: "acknowledge",
        stream,
        entryId,
        mark: mark?.id ?? "",
        effects,
        keep: mark?.keep ?? 0,
        done: (outcome) => {
          if (outcome instanceof Error) {
            done(outcome);
            return;
          }
          metrics?.acknowledged(1);
          // Told first: with the last one that is held everything ends.
          done();
          held.remove(delivery);
        },
      });
    },

    reject: (delivery, reason, done) => {
      if (!holds(delivery)) done();
      else if (isStopping) handBack(delivery, done);
      else if (deadLetters !== undefined && delivery.deliveries >= maxDeliveries) {
        settler.setAside(delivery, "HandlerFailed", reasonOf(reason), deadLetters.stream, (refusal) => {
          if (refusal === undefined) done();
          else tryLater(delivery, refusal, done);
        });
      } else tryLater(delivery, reason, done);
    },

    setAside: (holding, cause, reason, deadLetters, done) => {
      const { stream, entryId, deliveries } = holding;
      const fields = deadLetterFields(holding, holding.fields, { error: cause, reason, group, consumer });
      settlements.ask({
        kind: "deadLetter",
        stream,
        entryId,
        deadLetters,
        fields,
        keep: 0,
        done: (outcome) => {
          if (outcome instanceof Error) {
            report({ state: "warning", message: `${entryId} cannot be set aside: ${outcome.message}` });
            done(outcome);
            return;
          }
          if (outcome === "settled") report({ state: "deadLetter", stream, entryId, deliveries, reason });
          done();
          held.remove(holding);
        },
      });
    },

    dismiss: (stream, entryId) =>
      settlements.ask({
        kind: "acknowledge",
        stream,
        entryId,
        mark: "",
        effects: [],
        keep: 0,
        done: () => {},
      }),

    keepAlive: () => {
      if (beats > 0) return;
      for (const holding of held.all()) {
        beats += 1;
        hold(holding, holding.deliveries, 0, (isKept) => {
          beats -= 1;
          if (!isKept) lose(holding);
        });
      }
    },

    processed,
    unsubscribe: () => waiting.unsubscribe(),
  };
  return settler;
}

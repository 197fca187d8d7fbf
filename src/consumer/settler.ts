import { merge, type Observable, Subscription, take, timer, type Unsubscribable } from "rxjs";
import { backoffMs } from "../../operators/retryBackoff.ts";
import { reasonOf } from "../errors/reasonOf.ts";
import type { Effect, Outcome } from "../redis/group/settlement.ts";
import type { ConsumerReporter } from "../telemetry/consumerReporter.ts";
import { type DeadLetterCause, deadLetterFields } from "./deadLetterFields.ts";
import type { Delivery, Loss, Rejected, Settler } from "./delivery.ts";
import type { GroupTuning } from "./groupOptions.ts";
import type { Held, Holding } from "./held.ts";
import type { Settling } from "./settling.ts";
import { startsAlone, unsureStarts } from "./unsureStarts.ts";

interface GroupSettlerOptions {
  readonly tuning: GroupTuning;
  readonly consumer: string;
  readonly held: Held;
  readonly settlements: Settling;
  readonly processed: Settler<unknown>["processed"];
  /** Emits when nothing shall be tried again. */
  readonly stop$: Observable<unknown>;
  readonly reporter: ConsumerReporter;
}

/** The settler of one consumer, and what else becomes of its deliveries. */
export interface GroupSettler<E> extends Settler<E>, Unsubscribable {
  /** It was pending, and Redis says that it was started `counted` times. */
  readonly found: (holding: Holding, counted: number) => void;
  /** Sets an entry aside; told an error if Redis does not take it. */
  readonly setAside: (
    entry: Holding,
    cause: DeadLetterCause,
    reason: string,
    deadLetters: string,
    done: (outcome: Outcome) => void,
  ) => void;
  /** Acknowledges what nobody has to handle. */
  readonly dismiss: (stream: string, entryId: string) => void;
  /** Tells Redis that all that is held is alive; finds out what is not this consumer's any more. */
  readonly keepAlive: () => void;
}

/** A delivery that is about to be handled. */
interface Starting<E> {
  readonly delivery: Delivery<E>;
  readonly begin: (delivery: Delivery<E>, loss: Loss | undefined) => void;
}

/** Lets go of a delivery, and tells. */
type Settled = (delivery: Holding, outcome: Outcome, told: (outcome: Outcome) => void) => void;

/** What is asked for of nearly each delivery: a class, as an object with a function of its own takes twice as much. */
class Acknowledging {
  readonly kind = "acknowledge";
  readonly stream: string;
  readonly entryId: string;
  readonly mark: string;
  readonly keep: number;
  readonly effects: readonly Effect[];
  readonly #delivery: Holding;
  readonly #told: (outcome: Outcome) => void;
  readonly #settled: Settled;

  constructor(
    delivery: Holding & Pick<Delivery<unknown>, "mark">,
    effects: readonly Effect[],
    told: (outcome: Outcome) => void,
    settled: Settled,
  ) {
    const { stream, entryId, mark } = delivery;
    this.stream = stream;
    this.entryId = entryId;
    this.mark = mark?.id ?? "";
    this.keep = mark?.keep ?? 0;
    this.effects = effects;
    this.#delivery = delivery;
    this.#told = told;
    this.#settled = settled;
  }

  done(outcome: Outcome): void {
    this.#settled(this.#delivery, outcome, this.#told);
  }
}

/** As if it had been idle for a day: longer than anybody waits before taking over. */
const handedBackMs = 86_400_000;

const isLoss = (outcome: Outcome): outcome is Loss => outcome === "another's" || outcome === "gone";

const nameOf = ({ stream, entryId }: Holding) => `${stream}\n${entryId}`;

/** Settles deliveries with Redis. */
export function groupSettler<E>({
  tuning,
  consumer,
  held,
  settlements,
  processed,
  stop$,
  reporter,
}: GroupSettlerOptions): GroupSettler<E> {
  const { group, claimIdleMs, redelivery, maxDeliveries, deadLetters } = tuning;
  const { report } = reporter;
  const waiting = new Subscription();
  let isStopping = false;
  let hasLost = false;
  let beats = 0;
  const starting: Starting<E>[] = [];
  // Of what was pending: how many starts Redis had counted.
  const found = new Map<string, number>();
  // The one that is being handled and that its consumers may have died of.
  let alone: { readonly delivery: Holding; readonly patience: Subscription } | undefined;
  waiting.add(
    stop$.subscribe(() => {
      isStopping = true;
    }),
  );

  /** Nothing has to be looked up as long as nothing was lost. */
  const holds = (holding: Holding) => !hasLost || held.has(holding);

  /** Tells that it is not this consumer's any more. */
  function tellLoss({ stream, entryId }: Holding, loss: Loss): void {
    hasLost = true;
    report({ state: loss === "gone" ? "gone" : "lost", stream, entryId });
  }

  function lose(holding: Holding, loss: Loss): void {
    if (!held.has(holding)) return;
    tellLoss(holding, loss);
    letGo(holding);
  }

  function letGo(holding: Holding): void {
    if (found.size > 0 && held.has(holding)) found.delete(nameOf(holding));
    held.remove(holding);
  }

  /** Lets go of what is settled, once that is told: with the last one that is held everything ends. */
  function settled(holding: Holding, outcome: Outcome, done: (outcome: Outcome) => void): void {
    if (isLoss(outcome) && held.has(holding)) tellLoss(holding, outcome);
    done(outcome);
    letGo(holding);
  }

  function acknowledged(delivery: Holding, outcome: Outcome, done: (outcome: Outcome) => void): void {
    if (outcome instanceof Error) {
      done(outcome);
      return;
    }
    if (outcome === "acknowledged") reporter.acknowledged(1);
    settled(delivery, outcome, done);
  }

  /** Starts those that wait, each once Redis has counted it; one that starts alone holds up those behind it. */
  function startNext(): void {
    while (alone === undefined) {
      const next = starting.shift();
      if (next === undefined) return;
      const { delivery, begin } = next;
      if (!holds(delivery)) begin(delivery, "another's");
      else if (delivery.deliveries === 1) begin(delivery, undefined);
      else {
        if (startsAlone(foundOf(delivery))) leaveAlone(delivery);
        countStart(next);
      }
    }
  }

  const foundOf = (holding: Holding) => found.get(nameOf(holding)) ?? 0;

  function countStart({ delivery, begin }: Starting<E>): void {
    const { stream, entryId, deliveries } = delivery;
    settlements.ask({
      kind: "start",
      stream,
      entryId,
      deliveries,
      keep: 0,
      done: (outcome) => {
        // It may have been lost, and told so, and be back by now: then it comes again.
        const loss = isLoss(outcome) ? outcome : holds(delivery) ? undefined : "another's";
        if (loss !== undefined) lose(delivery, loss);
        begin(delivery, loss);
        if (loss !== undefined) ended(delivery);
      },
    });
  }

  /** How often at least, this time included. */
  const surelyStarted = (holding: Holding) => holding.deliveries - unsureStarts(foundOf(holding));

  /** Until its handler has ended, and for a while at most: it may hang. */
  function leaveAlone(delivery: Holding): void {
    const patience = timer(claimIdleMs / 3).subscribe(() => ended(delivery));
    waiting.add(patience);
    alone = { delivery, patience };
  }

  function ended({ stream, entryId }: Holding): void {
    if (alone?.delivery.entryId !== entryId || alone.delivery.stream !== stream) return;
    waiting.remove(alone.patience);
    alone.patience.unsubscribe();
    alone = undefined;
    startNext();
  }

  /** Counts as idle for so long that any other consumer may claim it at once. */
  function handBack(delivery: Delivery<E>, done: (outcome: Outcome) => void): void {
    const { stream, entryId } = delivery;
    settlements.ask({
      kind: "handBack",
      stream,
      entryId,
      idleMs: Math.max(claimIdleMs, handedBackMs),
      keep: 0,
      done: (outcome) => settled(delivery, outcome, done),
    });
  }

  function tryLater(delivery: Delivery<E>, reason: unknown, done: (outcome: Rejected<E>) => void): void {
    const { stream, entryId, deliveries } = delivery;
    const delayMs = backoffMs(deliveries, redelivery);
    report({ state: "rejected", stream, entryId, deliveries, delayMs, reason });
    const itsTime$ = merge(timer(delayMs), stop$).pipe(take(1));
    waiting.add(
      itsTime$.subscribe(() => {
        if (!holds(delivery)) done("another's");
        else if (isStopping) handBack(delivery, done);
        else {
          const again = { ...delivery, deliveries: deliveries + 1 };
          held.replace(again);
          reporter.delivered(1);
          done({ again });
        }
      }),
    );
  }

  const settler: GroupSettler<E> = {
    // As nearly all are.
    mayStart: (delivery) =>
      delivery.deliveries === 1 && alone === undefined && starting.length === 0 && holds(delivery),

    start: (delivery, begin) => {
      starting.push({ delivery, begin });
      startNext();
    },

    found: (holding, counted) => found.set(nameOf(holding), counted),

    acknowledge: (delivery, effects, done) => {
      if (alone !== undefined) ended(delivery);
      settlements.ask(new Acknowledging(delivery, effects, done, acknowledged));
    },

    reject: (delivery, reason, done) => {
      if (alone !== undefined) ended(delivery);
      if (!holds(delivery)) done("another's");
      else if (deadLetters !== undefined && surelyStarted(delivery) >= maxDeliveries) {
        settler.setAside(delivery, "HandlerFailed", reasonOf(reason), deadLetters.stream, (outcome) => {
          if (outcome instanceof Error) tryLater(delivery, outcome, done);
          else done(outcome);
        });
      } else if (isStopping) handBack(delivery, done);
      else tryLater(delivery, reason, done);
    },

    giveBack: handBack,

    setAside: (holding, cause, reason, deadLetters, done) => {
      const { stream, entryId, deliveries } = holding;
      const fields = deadLetterFields(holding, { error: cause, reason, group, consumer });
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
          if (outcome === "acknowledged")
            report({ state: "deadLetter", stream, entryId, deliveries, reason });
          settled(holding, outcome, done);
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
        const { stream, entryId } = holding;
        beats += 1;
        settlements.ask({
          kind: "keepAlive",
          stream,
          entryId,
          keep: 0,
          done: (outcome) => {
            beats -= 1;
            if (isLoss(outcome)) lose(holding, outcome);
          },
        });
      }
    },

    processed,
    unsubscribe: () => waiting.unsubscribe(),
  };
  return settler;
}

import {
  defaultIfEmpty,
  merge,
  type Observable,
  type Observer,
  Subscription,
  take,
  takeUntil,
  timer,
  type Unsubscribable,
} from "rxjs";
import { backoffMs, retryBackoff } from "../../operators/retryBackoff.ts";
import { reasonOf } from "../errors/reasonOf.ts";
import type { Effect, Outcome } from "../redis/group/settlement.ts";
import type { ConsumerParts } from "./consumerParts.ts";
import { type DeadLetterCause, deadLetterFields } from "./deadLetterFields.ts";
import { type Failure, type handled, isLoss, type Loss, type Told, type Verdict } from "./delivery.ts";
import type { Holding, HoldingSettler } from "./holding.ts";
import { Starts } from "./starts.ts";
import { unsureStarts } from "./unsureStarts.ts";

type Failed = Extract<Verdict, { readonly kind: "failed" | "postponed" }>;
type TellsOutcome = Pick<Observer<Outcome>, "next">;

/** As if it had been idle for a day: longer than anybody waits before taking over. */
const handedBackMs = 86_400_000;

const nowhere = new TypeError(
  "deadLetter: found no deadLetters, expected groupDeliveries to have a stream for them",
);

/** Why an entry is set aside, and whether it leaves its stream then. */
interface SettingAside {
  readonly cause: DeadLetterCause;
  readonly reason: string;
  readonly removes: boolean;
}

/** Settles the deliveries of one consumer with Redis. */
export class GroupSettler implements HoldingSettler, Unsubscribable {
  readonly #parts: ConsumerParts;
  readonly #starts: Starts;
  readonly #waiting = new Subscription();

  constructor(parts: ConsumerParts) {
    this.#parts = parts;
    this.#starts = new Starts(parts);
    this.#waiting.add(this.#starts);
  }

  get group(): string {
    return this.#parts.tuning.group;
  }

  mayStart(delivery: Holding): boolean {
    return this.#starts.may(delivery);
  }

  start(delivery: Holding, begin: (loss: Loss | undefined) => void): void {
    this.#starts.ask(delivery, begin);
  }

  settle(delivery: Holding, verdict: Verdict, told: Told, removes: boolean): void {
    this.#starts.ended(delivery);
    if (verdict.kind === "handled")
      this.#parts.settlements.ask(new Acknowledging(delivery, verdict, told, removes, this));
    else if (verdict.kind === "left") this.#handBack(delivery, Math.max(1, delivery.deliveries - 1), told);
    else this.#fail(delivery, verdict, told, removes);
  }

  processed(stream: string, ids: readonly string[]): Observable<readonly boolean[]> {
    const { connection, again, consumption } = this.#parts;
    return connection.processed(stream, ids).pipe(
      retryBackoff(again),
      // Whoever asks for more has lost them: nothing is held any more.
      takeUntil(consumption.closed$),
      defaultIfEmpty(ids.map(() => false)),
    );
  }

  horizon(stream: string): Observable<string> {
    return this.#parts.connection.horizon(stream).pipe(takeUntil(this.#parts.consumption.closed$));
  }

  /** Makes an entry a dead letter; told an error if Redis does not take it. */
  setAside(
    entry: Holding,
    { cause, reason, removes }: SettingAside,
    deadLetters: string,
    told: TellsOutcome,
  ): void {
    const { tuning, consumer, settlements, reporter } = this.#parts;
    const { stream, entryId, deliveries } = entry;
    const why = { error: cause, reason, group: tuning.group, consumer };
    settlements.ask({
      kind: "deadLetter",
      stream,
      entryId,
      deadLetters,
      fields: deadLetterFields(entry, why),
      removes,
      keep: 0,
      done: (outcome) => {
        if (outcome instanceof Error) {
          const message = `${entryId} cannot be set aside: ${outcome.message}`;
          reporter.report({ state: "warning", message });
          told.next(outcome);
          return;
        }
        if (outcome === "acknowledged")
          reporter.report({ state: "deadLetter", stream, entryId, deliveries, reason });
        this.#settled(entry, outcome, told);
      },
    });
  }

  /** What Redis says of one that was handled. */
  acknowledged(delivery: Holding, outcome: Outcome, told: TellsOutcome): void {
    if (outcome instanceof Error) {
      told.next(outcome);
      return;
    }
    if (outcome === "acknowledged") this.#parts.reporter.acknowledged?.(1);
    this.#settled(delivery, outcome, told);
  }

  unsubscribe(): void {
    this.#waiting.unsubscribe();
  }

  #fail(delivery: Holding, failure: Failure, told: Told, removes: boolean): void {
    const { tuning, held, consumption } = this.#parts;
    const { deadLetters, maxDeliveries } = tuning;
    // How often at least, this time included.
    const surely = delivery.deliveries - unsureStarts(delivery.counted);
    if (!held.isOurs(delivery)) told.next("another's");
    else if (
      deadLetters !== undefined &&
      (failure.kind === "dead" || (failure.kind === "failed" && surely >= maxDeliveries))
    ) {
      const reason = reasonOf(failure.reason);
      this.setAside(delivery, { cause: "HandlerFailed", reason, removes }, deadLetters.stream, {
        next: (outcome) => {
          if (outcome instanceof Error) this.#tryLater(delivery, { kind: "failed", reason: outcome }, told);
          else told.next(outcome);
        },
      });
    } else if (failure.kind === "dead")
      this.#fail(delivery, { kind: "failed", reason: nowhere }, told, removes);
    else if (consumption.isStopping) this.#handBack(delivery, delivery.deliveries, told);
    else this.#tryLater(delivery, failure, told);
  }

  #tryLater(delivery: Holding, { kind, reason, delayMs: asked }: Failed, told: Told): void {
    const { tuning, held, consumption, reporter } = this.#parts;
    const { stream, entryId, deliveries } = delivery;
    const delayMs = asked ?? backoffMs(deliveries, tuning.redelivery);
    reporter.report({ state: "rejected", stream, entryId, deliveries, delayMs: Math.round(delayMs), reason });
    const itsTime$ = merge(timer(delayMs), consumption.stop$).pipe(take(1));
    this.#waiting.add(
      itsTime$.subscribe(() => {
        if (!held.isOurs(delivery)) told.next("another's");
        else if (consumption.isStopping) this.#handBack(delivery, deliveries, told);
        else {
          const again = kind === "failed" ? delivery.again() : delivery.again(deliveries);
          held.replace(again);
          reporter.delivered?.(1);
          told.next({ again });
        }
      }),
    );
  }

  /** Counts as idle for so long that any other consumer may claim it at once, and as started so often. */
  #handBack(delivery: Holding, deliveries: number, told: TellsOutcome): void {
    const { settlements, tuning } = this.#parts;
    const { stream, entryId } = delivery;
    settlements.ask({
      kind: "handBack",
      stream,
      entryId,
      deliveries,
      idleMs: Math.max(tuning.claimIdleMs, handedBackMs),
      keep: 0,
      done: (outcome) => this.#settled(delivery, outcome, told),
    });
  }

  /** Lets go of what is settled, once that is told: with the last one that is held everything ends. */
  #settled(holding: Holding, outcome: Outcome, told: TellsOutcome): void {
    const { held } = this.#parts;
    if (isLoss(outcome)) held.tellLoss(holding, outcome);
    told.next(outcome);
    held.remove(holding);
  }
}

/** What is asked for of nearly each delivery: a class, as an object with a function of its own takes twice as much. */
class Acknowledging {
  readonly kind = "acknowledge";
  readonly removes: boolean;
  readonly #delivery: Holding;
  readonly #verdict: typeof handled;
  readonly #told: TellsOutcome;
  readonly #settler: Pick<GroupSettler, "acknowledged">;

  constructor(
    delivery: Holding,
    verdict: typeof handled,
    told: TellsOutcome,
    removes: boolean,
    settler: Pick<GroupSettler, "acknowledged">,
  ) {
    this.removes = removes;
    this.#delivery = delivery;
    this.#verdict = verdict;
    this.#told = told;
    this.#settler = settler;
  }

  get stream(): string {
    return this.#delivery.stream;
  }

  get entryId(): string {
    return this.#delivery.entryId;
  }

  get effects(): readonly Effect[] {
    return this.#verdict.effects;
  }

  get mark(): string {
    return this.#verdict.mark?.id ?? "";
  }

  get keep(): number {
    return this.#verdict.mark?.keep ?? 0;
  }

  done(outcome: Outcome): void {
    this.#settler.acknowledged(this.#delivery, outcome, this.#told);
  }
}

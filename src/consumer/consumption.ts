import { BehaviorSubject, filter, type Observable } from "rxjs";
import { isRxaddError, type RxaddError, rxaddError } from "../errors/rxaddError.ts";
import { messageOf } from "../errors/thrown.ts";

/**
 * Where a consumer is:
 * - `opening`: makes the group, or waits for Redis;
 * - `reading`;
 * - `stopping`: reads no more; a read that is under way may bring something yet;
 * - `draining`: waits until what it holds is settled;
 * - `closed`.
 */
export type Phase = "opening" | "reading" | "stopping" | "draining" | "closed";

/** What takes it on: the group is there, it shall stop, no read is under way any more, nothing is held any more. */
export type Happening = "opened" | "stop" | "readEnded" | "settled";

const steps: Readonly<Record<Phase, Partial<Record<Happening, Phase>>>> = {
  opening: { opened: "reading", stop: "draining" },
  reading: { stop: "stopping" },
  stopping: { readEnded: "draining" },
  draining: { settled: "closed" },
  closed: {},
};

/** The phase that follows; the same one if this changes nothing. */
export function phaseAfter(phase: Phase, happening: Happening): Phase {
  return steps[phase][happening] ?? phase;
}

const shallStop = (phase: Phase) => phase !== "opening" && phase !== "reading";

/** Where one consumer is, and why it ends. */
export class Consumption {
  readonly phase$ = new BehaviorSubject<Phase>("opening");
  /** Emits once it shall read no more, and nothing shall be tried again. */
  readonly stop$: Observable<unknown> = this.phase$.pipe(filter(shallStop));
  readonly closed$: Observable<unknown> = this.phase$.pipe(filter((phase) => phase === "closed"));
  #failure: RxaddError | undefined;

  get isStopping(): boolean {
    return shallStop(this.phase$.value);
  }

  /** Undefined: it ends because it was told to. */
  get failure(): RxaddError | undefined {
    return this.#failure;
  }

  is(phase: Phase): boolean {
    return this.phase$.value === phase;
  }

  happened(happening: Happening): void {
    this.phase$.next(phaseAfter(this.phase$.value, happening));
  }

  /** Ends it, once what came before is settled. */
  fail(error: unknown): void {
    this.#failure ??= isRxaddError(error) ? error : rxaddError("Refused", messageOf(error), error);
    this.happened("stop");
  }
}

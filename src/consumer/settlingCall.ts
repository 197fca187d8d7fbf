import { catchError, type Observable, of, tap, throwError } from "rxjs";
import { isRetryable, isRxaddError, type RxaddError, rxaddError } from "../errors/rxaddError.ts";
import { type GroupPort, isAnswer } from "../redis/group/groupConnection.ts";
import { type Outcome, type Settlement, strays, tagOf } from "../redis/group/settlement.ts";

/** A settlement of one delivery, and who is told of its outcome. */
export type Asked = Settlement & {
  readonly stream: string;
  /** How many marks of the stream are kept. */
  readonly keep: number;
  readonly done: (outcome: Outcome) => void;
};

const unanswered = rxaddError("Refused", "Redis said nothing of a delivery");

/** What is asked for of one stream, until all of it is settled. */
export class SettlingCall {
  readonly #stream: string;
  readonly #newToken: () => string;
  #asked: readonly Asked[];
  // That of one call, however often it is sent.
  #token: string;

  constructor(stream: string, asked: readonly Asked[], newToken: () => string) {
    this.#stream = stream;
    this.#asked = asked;
    this.#newToken = newToken;
    this.#token = newToken();
  }

  /** What is not settled. */
  get asked(): readonly Asked[] {
    return this.#asked;
  }

  /** Asks for what is not settled, and tells the outcomes; fails if some of it is to be asked for again. */
  send(connection: Pick<GroupPort, "settle">): Observable<unknown> {
    const asked = this.#asked;
    if (asked.length === 0) return of(asked);
    const keep = asked.reduce((most, { keep }) => Math.max(most, keep), 0);
    return connection.settle(this.#stream, asked, keep, this.#token).pipe(
      // The group is gone, and with it all that was pending.
      catchError((error) =>
        isAnswer(error, "NOGROUP") ? of(asked.map(() => "gone" as const)) : throwError(() => error),
      ),
      tap((outcomes) => this.#tell(outcomes)),
      catchError((error) =>
        isRxaddError(error) && error._tag === "CrossSlot"
          ? this.#withoutStrays(connection, error)
          : throwError(() => error),
      ),
    );
  }

  /** A Cluster refuses the whole call before any of it is done, and does not say whose key stands in another slot. */
  #withoutStrays(connection: Pick<GroupPort, "settle">, refusal: RxaddError): Observable<unknown> {
    const stream = this.#stream;
    const strayed = this.#asked.filter((one) => strays(stream, one));
    if (strayed.length === 0) return throwError(() => refusal);
    this.#asked = this.#asked.filter((one) => !strays(stream, one));
    const advice = `an effect has a key in another slot than ${stream}: give it the same hash tag, {${tagOf(stream)}}`;
    for (const one of strayed) one.done(rxaddError("CrossSlot", advice, refusal));
    return this.send(connection);
  }

  /** What Redis could not do now, and only that, is left to be asked for again. */
  #tell(outcomes: readonly Outcome[]): void {
    const asked = this.#asked;
    const again: Asked[] = [];
    let cause: Outcome | undefined;
    this.#asked = again;
    this.#token = this.#newToken();
    let index = 0;
    for (const one of asked) {
      const outcome = outcomes[index] ?? unanswered;
      index += 1;
      if (typeof outcome !== "string" && isRetryable(outcome)) {
        cause = outcome;
        again.push(one);
      } else one.done(outcome);
    }
    if (cause !== undefined) throw cause;
  }
}

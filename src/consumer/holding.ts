import type { Observable } from "rxjs";
import type { Word } from "../reader/streamEntry.ts";
import type { RawEntry } from "../redis/wire/entryReplies.ts";
import type { Loss, Settler, Told, Verdict } from "./delivery.ts";

/** Settles what one consumer holds. */
export interface HoldingSettler {
  readonly group: string;
  readonly mayStart: (holding: Holding) => boolean;
  readonly start: (holding: Holding, begin: (loss: Loss | undefined) => void) => void;
  readonly settle: (holding: Holding, verdict: Verdict, told: Told, removes: boolean) => void;
  readonly processed: (stream: string, ids: readonly string[]) => Observable<readonly boolean[]>;
  readonly horizon: (stream: string) => Observable<string>;
}

const nothing: readonly Word[] = [];

/** What a consumer knows of an entry that it holds, for one time: one that comes back is another one. */
export class Holding implements Settler {
  readonly stream: string;
  readonly entryId: string;
  /** How much it takes. */
  readonly bytes: number;
  /** How many starts of it Redis had counted when it came. */
  readonly counted: number;
  readonly deliveries: number;
  readonly #settler: HoldingSettler;
  #content: readonly Word[];

  constructor(
    { stream, entryId, bytes }: Pick<RawEntry, "stream" | "entryId" | "bytes">,
    content: readonly Word[],
    counted: number,
    settler: HoldingSettler,
    deliveries = counted + 1,
  ) {
    this.stream = stream;
    this.entryId = entryId;
    this.bytes = bytes;
    this.counted = counted;
    this.deliveries = deliveries;
    this.#settler = settler;
    this.#content = content;
  }

  get group(): string {
    return this.#settler.group;
  }

  get content(): readonly Word[] {
    return this.#content;
  }

  /** The same entry, for another time: which one it is. */
  again(deliveries = this.deliveries + 1): Holding {
    return new Holding(this, this.#content, this.counted, this.#settler, deliveries);
  }

  /**
   * Lets go of what it takes. A Map leaves its table behind whenever it makes a new one, and all that stood there
   * outlives the next collections: this cuts it off.
   */
  release(): void {
    this.#content = nothing;
  }

  mayStart(): boolean {
    return this.#settler.mayStart(this);
  }

  start(begin: (loss: Loss | undefined) => void): void {
    this.#settler.start(this, begin);
  }

  settle(verdict: Verdict, told: Told, removes: boolean): void {
    this.#settler.settle(this, verdict, told, removes);
  }

  processed(ids: readonly string[]): Observable<readonly boolean[]> {
    return this.#settler.processed(this.stream, ids);
  }

  horizon(): Observable<string> {
    return this.#settler.horizon(this.stream);
  }
}

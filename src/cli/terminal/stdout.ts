import { fromEvent, Observable, ReplaySubject } from "rxjs";
import { UsageError } from "./exitCode.ts";
import type { Output } from "./io.ts";
import { printableLines } from "./printable.ts";

/** Standard output: results, byte for byte to a pipe or a file; at a terminal control characters are escaped, as JSON has it. */
export class Stdout {
  readonly #stream: Output;
  /** Why it takes no more: the reader has gone, or the disk is full. */
  #broken: Error | undefined;
  readonly #broken$ = new ReplaySubject<Error>(1);

  /** Emits once when it takes no more, also to who comes later. */
  readonly closed$: Observable<unknown> = this.#broken$.asObservable();
  /** Emits when it has taken what made `write` say `false`. */
  readonly drained$: Observable<unknown>;

  constructor(stream: Output) {
    this.#stream = stream;
    this.drained$ = fromEvent(stream, "drain");
    // Listened to from the start, whatever is written: unheard, it would end the process with a stack trace.
    stream.on("error", (error) => this.#breakOff(error));
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  /** Whether it takes no more. */
  get isClosed(): boolean {
    return this.#broken !== undefined;
  }

  /** Writes results; `false` says that more should wait. */
  write(text: string): boolean {
    return this.isClosed || this.#stream.write(this.#shown(text));
  }

  /** Writes; completes when it has been taken, and fails when it cannot be. */
  taken(text: string): Observable<never> {
    return new Observable((subscriber) => {
      if (this.#broken !== undefined) {
        subscriber.error(this.#broken);
        return;
      }
      this.#stream.write(this.#shown(text), (error) => {
        if (error) {
          this.#breakOff(error);
          subscriber.error(error);
        } else subscriber.complete();
      });
    });
  }

  /** Waits until all is taken. A reader that has gone has read what it wanted; anything else is an error. */
  async flushed(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.isClosed) resolve();
      else
        this.#stream.write("", (error) => {
          if (error) this.#breakOff(error);
          resolve();
        });
    });
    const broken = this.#broken;
    if (broken === undefined || ("code" in broken && broken.code === "EPIPE")) return;
    throw new UsageError(
      `standard output: found ${broken.message}, expected room for the results: what they tell of is done, some of them are lost`,
      { cause: broken },
    );
  }

  #breakOff(error: Error): void {
    if (this.#broken !== undefined) return;
    this.#broken = error;
    this.#broken$.next(error);
  }

  #shown(text: string): string {
    return this.isTerminal ? printableLines(text) : text;
  }
}

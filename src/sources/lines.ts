import { constants, isUtf8 } from "node:buffer";
import { NEVER, Observable, type OperatorFunction, takeWhile, tap } from "rxjs";
import type { Flow } from "../../operators/flow.ts";

/** A line that cannot be read as text. The lines before it came out. */
export class LineError extends Error {
  override readonly name = "LineError";
  /** Its number, from 1. */
  readonly line: number;
  readonly reason: string;

  constructor(line: number, reason: string) {
    super(`line ${line}: ${reason}`);
    this.line = line;
    this.reason = reason;
  }
}

const lineFeed = 10;
const carriageReturn = 13;
const byteOrderMark = 0xfeff;
const nothing = Buffer.alloc(0);

/**
 * Splits chunks of UTF-8 text into lines, without their line ends and without a byte order mark before the first one.
 *
 * ```
 * chunks    -x-----y---|      x: "a\nb\nc", y: "d\n"
 * flow      -P--R-------      P: pause, told when a comes out
 * lines     -a--b--c---|      c: "cd"
 * ```
 *
 * - **Flow** while it says pause no line comes out; what is left of a chunk is held, and so is the end. The chunks' source
 *   should heed the same `flow`.
 * - **Completion** a last line without a line end counts.
 * - **Errors** of the source come out behind the whole lines before them. {@link LineError} at a line that is no UTF-8, or
 *   longer than a text can be.
 * - **Memory** the longest line, and the chunks that come while it is paused. Time is linear in the bytes.
 */
export function lines(flow: Observable<Flow> = NEVER): OperatorFunction<Buffer, string> {
  return (chunks$) =>
    new Observable((subscriber) => {
      const waiting: Buffer[] = [];
      // The beginning of a line whose end has yet to come, in a buffer that grows.
      let rest = nothing;
      let restBytes = 0;
      // Whole lines, and where the next of them begins.
      let block = "";
      let next = 0;
      let number = 0;
      let isFirst = true;
      /** Why nothing comes after the block. */
      let broken: string | undefined;
      let end: { readonly error?: unknown } | undefined;
      let isPaused = false;
      let isEmitting = false;

      /** Emits as far as it goes: a loop, as a line may pause and resume. */
      function emit(): void {
        if (isEmitting) return;
        isEmitting = true;
        try {
          while (!isPaused && !subscriber.closed && (emitLine() || openNext())) {}
        } catch (error) {
          subscriber.error(error);
        }
        isEmitting = false;
      }

      function emitLine(): boolean {
        if (next >= block.length) return false;
        const found = block.indexOf("\n", next);
        const to = found < 0 ? block.length : found;
        const hasReturn = to > next && block.charCodeAt(to - 1) === carriageReturn;
        const line = block.slice(next, hasReturn ? to - 1 : to);
        next = to + 1;
        number += 1;
        subscriber.next(line);
        return true;
      }

      /** Makes the next block; returns whether there was anything to do. */
      function openNext(): boolean {
        if (broken !== undefined) throw new LineError(number + 1, broken);
        const chunk = waiting.shift();
        if (chunk !== undefined) take(chunk);
        else if (end === undefined) return false;
        else if ("error" in end) subscriber.error(end.error);
        else if (restBytes > 0) open(takeRest());
        else subscriber.complete();
        return true;
      }

      function take(chunk: Buffer): void {
        // Only what is new is searched: a line may be long.
        const to = chunk.lastIndexOf(lineFeed) + 1;
        if (to > 0) {
          const whole = chunk.subarray(0, to);
          open(restBytes === 0 ? whole : Buffer.concat([takeRest(), whole]));
        }
        keep(chunk.subarray(to));
      }

      function keep(bytes: Buffer): void {
        const needed = restBytes + bytes.length;
        if (needed > constants.MAX_STRING_LENGTH) {
          broken ??= `found more than ${constants.MAX_STRING_LENGTH} bytes without a line end, expected a shorter line`;
          return;
        }
        if (needed > rest.length) {
          const grown = Buffer.allocUnsafe(Math.max(needed, 2 * rest.length));
          rest.copy(grown, 0, 0, restBytes);
          rest = grown;
        }
        bytes.copy(rest, restBytes);
        restBytes = needed;
      }

      function takeRest(): Buffer {
        const taken = rest.subarray(0, restBytes);
        rest = nothing;
        restBytes = 0;
        return taken;
      }

      function open(bytes: Buffer): void {
        const isText = isUtf8(bytes);
        if (!isText) broken = "found bytes that are no UTF-8, expected text in UTF-8";
        block = (isText ? bytes : linesOfText(bytes)).toString("utf8");
        next = isFirst && block.charCodeAt(0) === byteOrderMark ? 1 : 0;
        isFirst = false;
      }

      // Twice, before and after the source: a pause that a line brings about must be the last word that the source hears.
      subscriber.add(
        flow.subscribe({
          next: (signal) => {
            isPaused = signal === "pause";
          },
          error: (error) => subscriber.error(error),
        }),
      );
      subscriber.add(
        chunks$
          .pipe(
            takeWhile(() => !subscriber.closed),
            tap((chunk) => {
              waiting.push(chunk);
              emit();
            }),
          )
          .subscribe({
            error: (error) => {
              end = { error };
              emit();
            },
            complete: () => {
              end = {};
              emit();
            },
          }),
      );
      subscriber.add(
        flow.subscribe({
          next: (signal) => {
            if (signal === "resume") emit();
          },
          error: () => {},
        }),
      );
    });
}

/** The lines before the first that is no text. */
function linesOfText(bytes: Buffer): Buffer {
  let to = 0;
  for (let end = bytes.indexOf(lineFeed); end >= 0; end = bytes.indexOf(lineFeed, to)) {
    if (!isUtf8(bytes.subarray(to, end))) break;
    to = end + 1;
  }
  return bytes.subarray(0, to);
}

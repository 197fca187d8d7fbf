import { constants, isUtf8 } from "node:buffer";
import { NEVER, Observable, type OperatorFunction, pipe, takeWhile } from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import { spread } from "../../../operators/spread.ts";

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

/**
 * Splits chunks of UTF-8 text into lines, without their line ends and without a byte order mark before the first one.
 *
 * ```
 * chunks    -x-----y---|      x: "a\nb\nc", y: "d\n"
 * flow      -P--R-------      P comes while a is emitted
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
  return pipe(lineLists(), spread(flow));
}

/** The lines that end in each chunk. */
function lineLists(): OperatorFunction<Buffer, readonly string[]> {
  return (chunks$) =>
    new Observable((subscriber) => {
      const toLines = lineReader();
      const attempt = (read: () => Lines) => {
        try {
          const { lines, error } = read();
          if (lines.length > 0) subscriber.next(lines);
          if (error !== undefined) subscriber.error(error);
        } catch (error) {
          subscriber.error(error);
        }
      };
      subscriber.add(
        chunks$.pipe(takeWhile(() => !subscriber.closed)).subscribe({
          next: (chunk) => attempt(() => toLines.read(chunk)),
          error: (error) => subscriber.error(error),
          complete: () => {
            attempt(() => toLines.end());
            subscriber.complete();
          },
        }),
      );
    });
}

/** Lines, and why there will be no more. */
interface Lines {
  readonly lines: readonly string[];
  readonly error?: LineError;
}

const nothing = Buffer.alloc(0);
const lineFeed = 10;
const byteOrderMark = 0xfeff;

function lineReader(): { readonly read: (chunk: Buffer) => Lines; readonly end: () => Lines } {
  // The beginning of a line whose end has yet to come, in a buffer that grows.
  let rest = nothing;
  let restBytes = 0;
  let count = 0;

  function keep(bytes: Buffer): void {
    const needed = restBytes + bytes.length;
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

  function decode(bytes: Buffer): Lines {
    if (isUtf8(bytes)) return { lines: split(bytes.toString("utf8")) };
    const lines = split(textBefore(bytes).toString("utf8"));
    return { lines, error: errorAt("found bytes that are no UTF-8, expected text in UTF-8") };
  }

  /** Of a text that ends where a line does. */
  function split(text: string): readonly string[] {
    const from = count === 0 && text.charCodeAt(0) === byteOrderMark ? 1 : 0;
    const lines: string[] = [];
    for (let start = from; start < text.length; ) {
      const found = text.indexOf("\n", start);
      const end = found < 0 ? text.length : found;
      const hasReturn = end > start && text.charCodeAt(end - 1) === 13;
      lines.push(text.slice(start, hasReturn ? end - 1 : end));
      start = end + 1;
    }
    count += lines.length;
    return lines;
  }

  function errorAt(reason: string): LineError {
    return new LineError(count + 1, reason);
  }

  return {
    read: (chunk) => {
      // Only what is new is searched: a line may be long.
      const end = chunk.lastIndexOf(lineFeed) + 1;
      const whole = chunk.subarray(0, end);
      const found =
        end === 0 ? { lines: [] } : decode(restBytes === 0 ? whole : Buffer.concat([takeRest(), whole]));
      if (found.error !== undefined) return found;
      keep(chunk.subarray(end));
      if (restBytes <= constants.MAX_STRING_LENGTH) return found;
      const reason = `found more than ${constants.MAX_STRING_LENGTH} bytes without a line end, expected a shorter line`;
      return { ...found, error: errorAt(reason) };
    },
    end: () => decode(takeRest()),
  };
}

/** The lines before the first that is no text. */
function textBefore(bytes: Buffer): Buffer {
  let to = 0;
  for (let end = bytes.indexOf(lineFeed); end >= 0; end = bytes.indexOf(lineFeed, to)) {
    if (!isUtf8(bytes.subarray(to, end))) break;
    to = end + 1;
  }
  return bytes.subarray(0, to);
}

import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { type Observable, takeUntil } from "rxjs";
import type { Checkpoint } from "../checkpoint.ts";
import type { StandardPosition } from "../positions.ts";
import { redisSink } from "../redisSink.ts";
import { replicate } from "../replicate.ts";
import { sinkError } from "../sinkError.ts";
import type { SinkOptions } from "../sinkOptions.ts";
import type { Source } from "../source.ts";
import { type NdjsonLine, ndjson, ndjsonAccess } from "../sources/ndjson.ts";

/** Standard input, which can be read once. */
function readStdinOnce(): () => Readable {
  let isRead = false;
  return () => {
    if (isRead) {
      throw sinkError(
        "SourceCannotRewind",
        "Redis has lost acknowledged batches, and standard input cannot be read again: start again with the same input, or use --input FILE",
      );
    }
    isRead = true;
    return process.stdin;
  };
}

/** A source that ends when `stop$` emits, so that the sink drains. */
export function until<T, P>(source: Source<T, P>, stop$: Observable<unknown>): Source<T, P> {
  const stopped: Source<T, P> = (from, flow) => source(from, flow).pipe(takeUntil(stop$));
  return source.acknowledge === undefined
    ? stopped
    : Object.assign(stopped, { acknowledge: source.acknowledge });
}

/** Publishes NDJSON lines from a file or standard input; goes on where the stream ends. */
export function pipeLines(
  input: string | undefined,
  options: SinkOptions<NdjsonLine, StandardPosition>,
  stop$: Observable<unknown>,
): Observable<Checkpoint<StandardPosition>> {
  const source =
    input === undefined
      ? ndjson(readStdinOnce(), "standard input")
      : ndjson(() => createReadStream(input), input);
  return replicate({
    source: until(source, stop$),
    sink: redisSink({ ...options, event: ndjsonAccess }),
  });
}

import { inspect } from "node:util";
import type { RxaddError } from "../../errors/rxaddError.ts";
import { kindOf, messageOf } from "../../errors/thrown.ts";

/** What a dead letter says besides the event. */
export interface DeadLetterOrigin {
  /** The id of the sink. */
  readonly sink: string;
  /** The stream that the event was meant for; empty where that is not known. */
  readonly stream: string;
  /** The event's position as the producer state would have it; empty without one. */
  readonly position: string;
}

/** Shows what JSON cannot express; runs no code of the event but what names its type. */
export function describeEvent(event: unknown): string {
  try {
    return inspect(event, {
      depth: 8,
      breakLength: Number.POSITIVE_INFINITY,
      getters: false,
      customInspect: false,
    });
  } catch (error) {
    return `${kindOf(event)} that cannot be shown: ${messageOf(error)}`;
  }
}

/**
 * The names and values of an event that is set aside: the fields `event`, the original or as much of it as
 * `maxBytes` allows, `error`, `reason`, `sink`, `stream`, `position` and `bytes`, the size of the original.
 */
export function deadLetterOf(
  original: string | Buffer,
  cause: RxaddError,
  { sink, stream, position }: DeadLetterOrigin,
  maxBytes: number,
): readonly (string | Buffer)[] {
  const bytes = Buffer.byteLength(original);
  return [
    ...["event", bytes > maxBytes ? Buffer.from(original).subarray(0, maxBytes) : original],
    ...["error", cause._tag, "reason", cause.message],
    ...["sink", sink, "stream", stream, "position", position, "bytes", `${bytes}`],
  ];
}

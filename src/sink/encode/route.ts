import { kindOf } from "../../errors/thrown.ts";
import { readProperty } from "../../event/eventAccess.ts";
import { isStreamTemplate } from "../../options/codecs.ts";
import type { SinkSettings } from "../sinkOptions.ts";
import { partitionOf } from "./partition.ts";
import { controlIn, streamTemplate, textTemplate } from "./template.ts";

/** A function of the user's that has to give text. */
function asked<T>(ask: (event: T) => string, expected: string): (event: T) => string {
  return (event) => {
    const found: unknown = ask(event);
    if (typeof found === "string" && found !== "") return found;
    throw new TypeError(`found ${kindOf(found)}, expected ${expected}`);
  };
}

/** A function says the whole key, braces too, but no function means a control character. */
function checked<T>(toStream: (event: T) => string): (event: T) => string {
  return (event) => {
    const stream = toStream(event);
    const wrong = controlIn(stream);
    if (wrong === undefined) return stream;
    throw new TypeError(`found ${wrong} in the stream key, expected a key without`);
  };
}

/** Makes the function that says where an event goes. It throws a TypeError that says what the event lacks. */
export function streamOf<T, P>(
  { stream, key = (event) => readProperty(event, "key") as string }: SinkSettings<T, P>,
  partitions: number | undefined,
): (event: T) => string {
  const toStream =
    typeof stream === "function"
      ? checked(asked(stream, "a stream key"))
      : isStreamTemplate(stream)
        ? streamTemplate(stream)
        : () => stream;
  if (partitions === undefined) return toStream;
  const toKey = typeof key === "function" ? asked(key, "a key: set the option key") : textTemplate(key);
  return (event) => partitionOf(toStream(event), toKey(event), partitions);
}

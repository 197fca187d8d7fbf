import type { Config } from "../../config/config.ts";
import { fanOut } from "../../pipeline/fanOut.ts";
import type { Sink } from "../../pipeline/sink.ts";

/** All sinks of a configuration as one. */
export function oneSink<T, P>(sinks: readonly Sink<T, P>[], commit: Config["commit"]): Sink<T, P> {
  const [first] = sinks;
  return first !== undefined && sinks.length === 1 ? first : fanOut(sinks, { commit });
}

import { rxaddError } from "../errors/rxaddError.ts";
import { kindOf } from "../errors/thrown.ts";
import { type AnyStatus, levelOf } from "./states.ts";
import { statusText } from "./statusText.ts";

type Log = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** Takes records of fields and a message, as `pino` does. */
export interface Logger {
  readonly info: Log;
  readonly warn: Log;
  readonly error: Log;
  /** Told what may happen many times a second. Default: nobody is. */
  readonly debug?: Log;
}

/** One of the `observers` of a sink or of a consumer, or its `status`. */
export interface StatusLogger {
  readonly status: (now: AnyStatus) => void;
  readonly next: (now: AnyStatus) => void;
}

/**
 * Logs what a sink or a consumer is doing: give it to either as one of its `observers`.
 *
 * A record has the fields of the status, with the error, if any, as `err`, and the message that `rxadd` prints.
 * Levels:
 * - `error` somebody has to see to it: `closed` with an error, `behind`, `deadLetter`, `gap`, `dropped`, `lost` of a sink;
 * - `warn` it gets over it by itself: `retrying`, `rewound`, `rejected`, `lost` of a consumer, `gone`, `deleted`, `warning`;
 * - `info` what was `replayed`, and what else it is doing, once each time that this changes, never for each batch;
 * - `debug` that it pauses and resumes the source, where the logger has this level.
 *
 * It throws `ConfigurationInvalid` at once where the logger lacks a level.
 *
 * @param logger - `pino()`, or what has its `info`, `warn` and `error`; a child of it names the sink
 *
 * @example
 * ```ts
 * const observers = statusLogger(pino().child({ sink: "orders-redis" }));
 * changes$.pipe(redisSink({ id: "orders-redis", uri, stream: "orders.events", observers })).subscribe();
 * // {"level":30,…,"sink":"orders-redis","state":"connecting","msg":"connecting"}
 * ```
 */
export function statusLogger(logger: Logger): StatusLogger {
  refuseUnfit(logger);
  const status = (now: AnyStatus) => logger[levelOf(now)]?.(fieldsOf(now), statusText(now));
  return { status, next: status };
}

/** What could not log would be noticed only when there is something to log. */
function refuseUnfit(logger: unknown): void {
  for (const level of ["info", "warn", "error", "debug"]) {
    const found: unknown = Reflect.get(Object(logger), level);
    if (typeof found === "function" || (level === "debug" && found === undefined)) continue;
    throw rxaddError(
      "ConfigurationInvalid",
      `statusLogger: logger.${level}: found ${kindOf(found)}, expected a function: give it a logger such as pino()`,
    );
  }
}

/** The fields of a status as a log has them: errors where loggers look for them. */
function fieldsOf(status: AnyStatus): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries<unknown>(status).map(([name, value]) => [
      name === "cause" || value instanceof Error ? "err" : name,
      value,
    ]),
  );
}

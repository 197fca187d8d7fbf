import { isLeft } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import { rxaddError } from "../errors/rxaddError.ts";
import { isEntryId } from "../event/entryId.ts";
import { messageOf } from "./problem.ts";

/** An entry ID, such as `1700000000000-0`; without the second part it is the first of its millisecond. */
export const entryIdText: t.Type<string, unknown> = new t.Type(
  "an entry ID, such as 1700000000000-0",
  (value): value is string => typeof value === "string" && isEntryId(value),
  (value, context) =>
    typeof value === "string" && isEntryId(value) ? t.success(value) : t.failure(value, context),
  t.identity,
);

/** Fails with `ConfigurationInvalid` if an option is not what it has to be. */
export function checkOption(name: string, codec: t.Mixed, value: unknown): void {
  const decoded = codec.decode(value);
  if (isLeft(decoded)) {
    throw rxaddError("ConfigurationInvalid", `${name}: ${decoded.left.map(messageOf).join("; ")}`);
  }
}

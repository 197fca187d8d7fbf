import type { RetryBackoffOptions } from "../../operators/retryBackoff.ts";
import type { GroupPort } from "../redis/group/groupConnection.ts";
import type { ConsumerReporter } from "../telemetry/consumerReporter.ts";
import type { Consumption } from "./consumption.ts";
import type { GroupTuning } from "./groupOptions.ts";
import type { Held } from "./held.ts";
import type { Settling } from "./settling.ts";

/** What one consumer is made of. */
export interface ConsumerParts {
  readonly tuning: GroupTuning;
  /** Its name. */
  readonly consumer: string;
  readonly reporter: ConsumerReporter;
  readonly connection: GroupPort;
  /** How what it asks Redis for is tried again. */
  readonly again: RetryBackoffOptions;
  readonly consumption: Consumption;
  readonly held: Held;
  readonly settlements: Settling;
}

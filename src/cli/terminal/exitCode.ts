import { blamesInput } from "../../errors/blames.ts";
import { isSinkError, type SinkErrorTag } from "../../errors/sinkError.ts";

/** How the command ends: 0 done, 2 the configuration or the input is wrong, 3 Redis refused, 1 anything else. */
export type ExitCode = 0 | 1 | 2 | 3;

/** Runs a command's work and makes its failure an exit code. */
export type ExitWith = (work: () => Promise<void>) => Promise<void>;

/** What the user has to mend before Redis is even asked. */
const wrongInput: ReadonlySet<SinkErrorTag> = new Set<SinkErrorTag>([
  "UnknownHost",
  "UnknownMaster",
  "ConfigurationInvalid",
  "EventNotEncodable",
  "EntryNotDecodable",
  "EventTooLarge",
  "StreamUnresolved",
  "PositionInvalid",
]);

/** The configuration, or an option, is not usable. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly blames = "input";
}

/** The exit code that an error asks for. */
export function exitCodeOf(error: unknown): ExitCode {
  if (blamesInput(error)) return 2;
  if (isSinkError(error)) return wrongInput.has(error._tag) ? 2 : 3;
  // Files that cannot be opened or read.
  if (error instanceof Error && "syscall" in error) return 2;
  return 1;
}

import { isRxaddError } from "../../errors/rxaddError.ts";

/** How the command ends: 0 done, 2 the configuration or the input is wrong, 3 Redis refused, 1 anything else. */
export type ExitCode = 0 | 1 | 2 | 3;

/** Runs a command's work; what it finds, or its failure, becomes the exit code. */
export type ExitWith = (work: () => Promise<ExitCode> | Promise<void>) => Promise<void>;

/** The configuration, or an option, is not usable. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The exit code that an error asks for. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return 2;
  if (isRxaddError(error)) return error.blames === "input" ? 2 : 3;
  // Files that cannot be opened or read.
  if (error instanceof Error && "syscall" in error) return 2;
  return 1;
}

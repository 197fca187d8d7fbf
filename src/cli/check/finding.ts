import { catchError, defer, mergeMap, type Observable, of } from "rxjs";
import { messageOf } from "../../errors/thrown.ts";
import { type ExitCode, exitCodeOf } from "../terminal/exitCode.ts";

/** One thing that was looked at. */
export interface Finding {
  readonly part: string;
  readonly what: string;
  readonly found: string;
  /** 0: it is as it has to be. */
  readonly exitCode: ExitCode;
}

/** Tells one thing of a part: what was looked at, what was found, and whether that will do. */
export type Finder = (what: string, found: string, isGood?: boolean) => Finding;

/**
 * The findings of a part; what keeps it from being looked at is one, too.
 *
 * @param wrong - the exit code of what is not as it has to be
 */
export function findings(
  part: string,
  wrong: ExitCode,
  look: (finding: Finder) => Observable<readonly Finding[]>,
): Observable<Finding> {
  const finding: Finder = (what, found, isGood = true) => ({
    part,
    what,
    found,
    exitCode: isGood ? 0 : wrong,
  });
  return defer(() => look(finding)).pipe(
    mergeMap((all) => all),
    catchError((error) =>
      of({ part, what: "reached", found: messageOf(error), exitCode: exitCodeOf(error) }),
    ),
  );
}

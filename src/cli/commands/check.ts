import { concat, map } from "rxjs";
import type { Config } from "../../config/config.ts";
import { checkSink } from "../check/checkSink.ts";
import { checkSource } from "../check/checkSource.ts";
import type { ExitCode } from "../terminal/exitCode.ts";
import type { Stdout } from "../terminal/stdout.ts";
import { printRows } from "../terminal/table.ts";

/** Looks at all that a configuration names, and changes nothing; returns how the command ends. */
export async function checkConfig(out: Stdout, config: Config, isJson: boolean): Promise<ExitCode> {
  let first: ExitCode = 0;
  const rows$ = concat(checkSource(config), ...config.sinks.map(({ config: sink }) => checkSink(sink))).pipe(
    map(({ exitCode, ...row }) => {
      if (first === 0) first = exitCode;
      return { ...row, state: exitCode === 0 ? "ok" : "wrong" };
    }),
  );
  await printRows(out, rows$, { part: "PART", what: "WHAT", state: "STATE", found: "FOUND" }, isJson);
  return first;
}

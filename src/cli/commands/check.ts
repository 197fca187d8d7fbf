import { concat, map, type Observable } from "rxjs";
import type { Config } from "../../config/config.ts";
import type { Pipelines } from "../../config/loadConfig.ts";
import { checkSink } from "../check/checkSink.ts";
import { checkSource } from "../check/checkSource.ts";
import type { Finding } from "../check/finding.ts";
import type { ExitCode } from "../terminal/exitCode.ts";
import type { Stdout } from "../terminal/stdout.ts";
import { printRows } from "../terminal/table.ts";

/** Looks at all that pipelines name, and changes nothing; returns how the command ends. */
export async function checkPipelines(out: Stdout, configs: Pipelines, isJson: boolean): Promise<ExitCode> {
  let first: ExitCode = 0;
  const rows$ = concat(...configs.map((config) => checkConfig(config, configs.length > 1))).pipe(
    map(({ exitCode, ...row }) => {
      if (first === 0) first = exitCode;
      return { ...row, state: exitCode === 0 ? "ok" : "wrong" };
    }),
  );
  await printRows(out, rows$, { part: "PART", what: "WHAT", state: "STATE", found: "FOUND" }, isJson);
  return first;
}

/** @param isOneOfSeveral - each part then tells whose it is */
function checkConfig(config: Config, isOneOfSeveral: boolean): Observable<Finding> {
  const parts = [checkSource(config), ...config.sinks.map(({ config: sink }) => checkSink(sink))];
  return concat(...parts).pipe(
    map((finding) =>
      isOneOfSeveral ? { ...finding, part: `${config.pipeline}: ${finding.part}` } : finding,
    ),
  );
}

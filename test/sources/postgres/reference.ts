import { PgoutputPlugin } from "pg-logical-replication";
import { from, map } from "rxjs";
import { useExactParsers } from "../../../src/sources/postgres/columnParsers.ts";
import { toChangeEvents } from "../../../src/sources/postgres/toChangeEvents.ts";
import type { Change } from "./postgresBed.ts";

/** The events of messages of pgoutput, by the parser of `pg-logical-replication`. */
export function referenceEvents(messages: readonly Buffer[], db: string): readonly Change[] {
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [] });
  const events: Change[] = [];
  from(messages)
    .pipe(
      map((message) => {
        const parsed = plugin.parse(message);
        if (parsed.tag === "relation") useExactParsers(parsed);
        return parsed;
      }),
      toChangeEvents(db),
    )
    .subscribe((event) => events.push(event));
  return events;
}

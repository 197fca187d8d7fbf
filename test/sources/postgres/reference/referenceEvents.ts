import { PgoutputPlugin } from "pg-logical-replication";
import { from, map } from "rxjs";
import type { ChangeEvent, Lsn, Row } from "../../../../src/index.ts";
import { useExactParsers } from "./columnParsers.ts";
import { toChangeEvents } from "./toChangeEvents.ts";

/** The events of messages of pgoutput, by the parser of `pg-logical-replication`. */
export function referenceEvents(messages: readonly Buffer[], db: string): readonly ChangeEvent<Row, Lsn>[] {
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [] });
  const events: ChangeEvent<Row, Lsn>[] = [];
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

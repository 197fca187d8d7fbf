import type { Pgoutput } from "pg-logical-replication";
import { Observable, type OperatorFunction, takeWhile } from "rxjs";
import type { ChangeEvent, Operation, Row } from "../../../../src/event/changeEvent.ts";
import type { Lsn } from "../../../../src/event/lsn.ts";
import { placePosition, walNumber } from "../../../../src/sources/postgres/walPosition.ts";

interface OpenTransaction {
  readonly commit: bigint;
  readonly xid: number;
  readonly ts_ms: number;
  changes: number;
}

type Change = Pick<ChangeEvent<Row, Lsn>, "op" | "before" | "after"> & {
  readonly relation: Pgoutput.MessageRelation;
};

/** A row without the columns that the message does not carry. */
function row(tuple: Readonly<Record<string, unknown>> | null): Row | null {
  return tuple === null
    ? null
    : Object.fromEntries(Object.entries(tuple).filter(([, value]) => value !== undefined));
}

function changesOf(message: Pgoutput.Message): readonly Change[] {
  switch (message.tag) {
    case "insert":
      return [change("c", message.relation, null, message.new)];
    case "update":
      return [change("u", message.relation, message.old ?? message.key, message.new)];
    case "delete":
      return [change("d", message.relation, message.old ?? message.key, null)];
    case "truncate":
      return message.relations.map((relation) => change("t", relation, null, null));
    default:
      return [];
  }
}

function change(
  op: Operation,
  relation: Pgoutput.MessageRelation,
  before: Readonly<Record<string, unknown>> | null,
  after: Readonly<Record<string, unknown>> | null,
): Change {
  return { op, relation, before: row(before), after: row(after) };
}

/** Large values that an update did not touch: the log does not hold them. */
function unchangedColumns({ op, relation, after }: Change): readonly string[] {
  if (op !== "u" || after === null) return [];
  return relation.columns.map(({ name }) => name).filter((name) => !Object.hasOwn(after, name));
}

/**
 * Turns the messages of pgoutput into change events. One event is held back until it is known
 * whether it is its transaction's last.
 *
 * @param db - the database's name: with the position it makes the event's id
 */
export function toChangeEvents(db: string): OperatorFunction<Pgoutput.Message, ChangeEvent<Row, Lsn>> {
  return (messages$) =>
    new Observable((subscriber) => {
      let transaction: OpenTransaction | undefined;
      let held: ChangeEvent<Row, Lsn> | undefined;

      function eventOf(
        change: Change,
        { commit, xid, ts_ms, changes }: OpenTransaction,
      ): ChangeEvent<Row, Lsn> {
        const position = `${placePosition(commit)}:${changes}` as Lsn;
        const unchanged = unchangedColumns(change);
        return {
          id: `${db}/${position}`,
          op: change.op,
          ts_ms,
          source: {
            connector: "postgresql",
            db,
            schema: change.relation.schema,
            table: change.relation.name,
            lsn: placePosition(commit),
            txId: xid,
            ...(unchanged.length > 0 ? { unchanged } : {}),
          },
          before: change.before,
          after: change.after,
          transaction: { id: `${xid}:${placePosition(commit)}`, total_order: changes, last: false },
          position,
        };
      }

      function release(isLast: boolean): void {
        if (held === undefined) return;
        const event = held;
        held = undefined;
        subscriber.next(
          isLast && event.transaction !== undefined
            ? { ...event, transaction: { ...event.transaction, last: true } }
            : event,
        );
      }

      return messages$.pipe(takeWhile(() => !subscriber.closed)).subscribe({
        next: (message) => {
          if (message.tag === "begin") {
            transaction = {
              commit: walNumber(message.commitLsn ?? "0/0"),
              xid: message.xid >>> 0,
              ts_ms: Math.trunc(Number(message.commitTime) / 1000),
              changes: 0,
            };
          } else if (message.tag === "commit") {
            release(true);
            transaction = undefined;
          } else if (transaction !== undefined) {
            for (const next of changesOf(message)) {
              release(false);
              transaction.changes += 1;
              held = eventOf(next, transaction);
            }
          }
        },
        error: (error) => subscriber.error(error),
        complete: () => subscriber.complete(),
      });
    });
}

import { createHash } from "node:crypto";
import { type Client, escapeIdentifier, escapeLiteral } from "pg";
import { valueReader } from "../columnValues.ts";
import type { Column } from "../relation.ts";
import { ordTable, type TableName, type TableRead, whereOf } from "./tableRead.ts";

/** A table as its rows are read: what of it is published. */
export interface Table extends TableName {
  readonly columns: readonly Pick<Column, "name" | "read">[];
  /** Which of the columns tell a row from any other, in the order of their index. */
  readonly key: readonly number[];
  /** Their types, in SQL. */
  readonly keyTypes: readonly string[];
  /** Tells this key, by its names, types and collations, from any other that the table may be given. */
  readonly by: string;
  /** How many rows there are, as far as the server knows. */
  readonly estimated: number | undefined;
  /** What follows FROM. */
  readonly from: string;
  /** The filter of the publication. */
  readonly filter: string | undefined;
}

export function quotedTable({ schema, name }: TableName): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
}

/** All tables of a publication, in the order in which they are read. */
export async function publishedTables(client: Client, publication: string): Promise<readonly TableName[]> {
  const { rows } = await client.query<TableName>(
    "SELECT schemaname AS schema, tablename AS name FROM pg_publication_tables WHERE pubname = $1",
    [publication],
  );
  return rows.sort(ordTable.compare);
}

/** `attnames` and `rowfilter` are there from PostgreSQL 15 on; generated columns are in them, and in the log, from 18 on. */
const described = `
  SELECT relkind AS kind, reltuples AS estimated, to_jsonb(published)->>'rowfilter' AS filter,
    array(SELECT json_build_array(attname, atttypid) FROM pg_attribute
      WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
        AND (to_jsonb(published)->'attnames' IS NULL OR to_jsonb(published)->'attnames' ? attname)
        AND (attgenerated = '' OR current_setting('server_version_num')::int >= 180000)
      ORDER BY attnum) AS columns,
    array(SELECT json_build_array(attname, format_type(atttypid, atttypmod), attcollation) FROM pg_index
      CROSS JOIN unnest(indkey) WITH ORDINALITY AS part (number, place)
      JOIN pg_attribute ON attrelid = indrelid AND attnum = number
      WHERE indrelid = relation.oid AND place <= indnkeyatts
        AND CASE relreplident WHEN 'i' THEN indisreplident ELSE indisprimary END
      ORDER BY place) AS key
  FROM pg_publication_tables AS published
  JOIN pg_namespace ON nspname = schemaname
  JOIN pg_class AS relation ON relnamespace = pg_namespace.oid AND relname = tablename
  WHERE pubname = $1 AND schemaname = $2 AND tablename = $3`;

interface Described {
  readonly kind: string;
  readonly estimated: number;
  readonly filter: string | null;
  readonly columns: readonly (readonly [name: string, typeOid: string])[];
  readonly key: readonly (readonly [name: string, type: string, collation: string])[];
}

/** Looks at a table; undefined: it is not published, or is no more. */
export async function describeTable(
  client: Client,
  publication: string,
  { schema, name }: TableName,
): Promise<Table | undefined> {
  const found = await client.query<Described>(described, [publication, schema, name]);
  const [table] = found.rows;
  if (table === undefined) return undefined;
  const columns = table.columns.map(([column, type]) => ({ name: column, read: valueReader(Number(type)) }));
  const names = columns.map((column) => column.name);
  const quoted = quotedTable({ schema, name });
  return {
    ...{ schema, name, columns },
    key: table.key.map(([column]) => names.indexOf(column)),
    keyTypes: table.key.map(([, type]) => type),
    by: createHash("sha256").update(JSON.stringify(table.key)).digest("hex").slice(0, 8),
    estimated: table.estimated < 0 ? undefined : table.estimated,
    // Children of an inherited table are published as tables of their own, partitions with their root or by themselves.
    from: table.kind === "p" ? quoted : `ONLY ${quoted}`,
    filter: table.filter ?? undefined,
  };
}

/** Selects at most so many rows of a table behind where its reading is, in the order of its key; without a limit all of them, in any. */
export function selectRows(
  { columns, key, keyTypes, by, from, filter }: Table,
  read: TableRead,
  limit?: number,
): string {
  const names = columns.map(({ name }) => escapeIdentifier(name));
  const keys = key.map((column) => names[column]);
  // A key that the table did not have when its reading began says nothing of where it is.
  const after = read.by === by && read.after !== undefined ? read.after : [];
  const conditions = [
    ...(filter === undefined ? [] : [`(${filter})`]),
    ...whereOf(read).map(
      ([column, comparison, value]) => `${escapeIdentifier(column)} ${comparison} ${escapeLiteral(value)}`,
    ),
    ...(limit === undefined || after.length === 0
      ? []
      : [`(${keys}) > (${after.map((text, at) => `CAST(${escapeLiteral(text)} AS ${keyTypes[at]})`)})`]),
  ];
  const which = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
  const order = limit === undefined ? "" : ` ORDER BY ${keys} LIMIT ${limit}`;
  return `SELECT ${names} FROM ${from}${which}${order}`;
}

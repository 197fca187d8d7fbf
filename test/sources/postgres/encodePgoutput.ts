/** Encodes as a server does: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html */

export interface TableShape {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly identity: "d" | "n" | "f" | "i";
  readonly columns: readonly { readonly name: string; readonly isKey: boolean; readonly typeOid: number }[];
}

/** A value's text; null; or one that the log does not hold. */
export type Sent = Uint8Array | null | "unchanged";

const byte = (value: number) => Buffer.of(value);
const letter = (text: string) => Buffer.from(text, "latin1");
const text = (value: string) => Buffer.from(`${value}\0`);
function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
}
function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value >>> 0);
  return buffer;
}
function int64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(value);
  return buffer;
}

function tuple(values: readonly Sent[]): Buffer {
  const columns = values.map((value) => {
    if (value === null) return letter("n");
    if (value === "unchanged") return letter("u");
    return Buffer.concat([letter("t"), int32(value.length), value]);
  });
  return Buffer.concat([int16(values.length), ...columns]);
}

export const message = {
  begin: (lsn: bigint, time: bigint, xid: number) =>
    Buffer.concat([letter("B"), int64(lsn), int64(time), int32(xid)]),
  commit: (lsn: bigint, time: bigint) =>
    Buffer.concat([letter("C"), byte(0), int64(lsn), int64(lsn + 8n), int64(time)]),
  relation: ({ oid, schema, name, identity, columns }: TableShape) =>
    Buffer.concat([
      ...[letter("R"), int32(oid), text(schema), text(name), letter(identity), int16(columns.length)],
      ...columns.flatMap((column) => [
        ...[byte(column.isKey ? 1 : 0), text(column.name), int32(column.typeOid), int32(-1)],
      ]),
    ]),
  insert: (oid: number, row: readonly Sent[]) =>
    Buffer.concat([letter("I"), int32(oid), letter("N"), tuple(row)]),
  update: (oid: number, old: readonly ["K" | "O", readonly Sent[]] | undefined, row: readonly Sent[]) =>
    Buffer.concat([
      ...[letter("U"), int32(oid), ...(old === undefined ? [] : [letter(old[0]), tuple(old[1])])],
      ...[letter("N"), tuple(row)],
    ]),
  delete: (oid: number, kind: "K" | "O", row: readonly Sent[]) =>
    Buffer.concat([letter("D"), int32(oid), letter(kind), tuple(row)]),
  truncate: (oids: readonly number[], options: number) =>
    Buffer.concat([letter("T"), int32(oids.length), byte(options), ...oids.map(int32)]),
  type: (oid: number, schema: string, name: string) =>
    Buffer.concat([letter("Y"), int32(oid), text(schema), text(name)]),
  origin: (lsn: bigint, name: string) => Buffer.concat([letter("O"), int64(lsn), text(name)]),
  logical: (lsn: bigint, prefix: string, content: Uint8Array) =>
    Buffer.concat([letter("M"), byte(1), int64(lsn), text(prefix), int32(content.length), content]),
};

/** A message of the server around a content, such as `d` around a piece of a copy. */
export function framed(kind: string, content: Uint8Array): Buffer {
  return Buffer.concat([letter(kind), int32(content.length + 4), content]);
}

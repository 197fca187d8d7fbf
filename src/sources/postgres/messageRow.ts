import { isUtf8 } from "node:buffer";
import type { Row } from "../../event/changeEvent.ts";
import { valueReader } from "./columnValues.ts";

const readJson = valueReader(114);
const hexadecimal = "\\x";

/** What a message holds, as a row: an object in JSON is one; else the text is the row's `content`, bytes as those of bytea. */
export function messageRow(content: Buffer): Row {
  if (!isUtf8(content)) return { content: `${hexadecimal}${content.toString("hex")}` };
  try {
    const value = readJson(content, 0, content.length);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Row;
  } catch {
    // It is no JSON.
  }
  return { content: content.toString("utf8") };
}

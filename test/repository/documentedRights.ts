import { readFileSync } from "node:fs";
import { codeBlocks } from "./codeBlocks.ts";

const page = "docs/connections.md";

type User = "producer" | "consumer";

const startOf = (user: User) => `ACL SETUSER ${user} `;

/** The rules that docs/connections.md gives a user of Redis; its password is `password`. */
export function documentedRights(user: User): readonly string[] {
  const start = startOf(user);
  const block = codeBlocks(page).find(({ code }) => code.includes(start));
  const rules = block?.code.split(start)[1];
  if (rules === undefined) throw new Error(`${page} gives ${user} no rights`);
  return rules.replaceAll("\\\n", " ").replaceAll("'", "").trim().split(/\s+/);
}

/** The further rights that the table below them names for something. */
export function documentedExtra(user: User, what: string): readonly string[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), "utf8");
  const [, table = ""] = text.split(startOf(user));
  const row = table.split("\n").find((line) => line.endsWith(` | ${what} |`));
  if (row === undefined) throw new Error(`${page} names no rights for ${what}`);
  const [, cell = ""] = row.split(/(?<!\\)\|/);
  return [...cell.matchAll(/[+~][^\s`,]+/g)].map(([rule]) => rule.replace("\\|", "|"));
}

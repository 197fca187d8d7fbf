import { readFileSync } from "node:fs";
import { codeBlocks } from "./codeBlocks.ts";

const page = "docs/connections.md";

/** The rules that docs/connections.md gives a user of Redis; its password is `password`. */
export function documentedRights(user: "producer" | "consumer"): readonly string[] {
  const start = `ACL SETUSER ${user} `;
  const block = codeBlocks(page).find(({ code }) => code.includes(start));
  const rules = block?.code.split(start)[1];
  if (rules === undefined) throw new Error(`${page} gives ${user} no rights`);
  return rules.replaceAll("\\\n", " ").replaceAll("'", "").trim().split(/\s+/);
}

/** The further rights that the page's table names for something. */
export function documentedExtra(what: string): readonly string[] {
  const lines = readFileSync(new URL(`../../${page}`, import.meta.url), "utf8").split("\n");
  const row = lines.find((line) => line.endsWith(` | ${what} |`));
  if (row === undefined) throw new Error(`${page} names no rights for ${what}`);
  const [, cell = ""] = row.split(/(?<!\\)\|/);
  return [...cell.matchAll(/[+~][^\s`,]+/g)].map(([rule]) => rule.replace("\\|", "|"));
}

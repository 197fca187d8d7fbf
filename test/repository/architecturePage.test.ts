import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { architecturePage, withHouse } from "../../scripts/rooms.mjs";

const page = readFileSync(architecturePage, "utf8");
const paths = [
  ...new Set([...page.matchAll(/`((?:src|operators|test)\/[\w/.]+)`/g)].map(([, path = ""]) => path)),
];

describe("docs/architecture.md", () => {
  it("shows the rooms that src/rooms.json says: npm run fix writes them", () => {
    expect(page).toBe(withHouse(page));
  });

  it.each(paths)("names what is there: %s", (path) => {
    expect(existsSync(new URL(`../../${path}`, import.meta.url))).toBe(true);
  });
});

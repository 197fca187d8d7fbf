// Writes what src/rooms.json says, who may import what: importRule.json, which biome.json extends, and a table for readers.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));

export const rooms = read("../src/rooms.json");
const deepest = 3;
const isOperators = (name) => name === "operators";

/** Whether a room may import another one. */
export function mayImport(room, other) {
  const { floor, without = [] } = rooms[room];
  return rooms[other].floor < floor && !without.includes(other);
}

function rule(includes, patterns) {
  const options = { patterns };
  const noRestrictedImports = { level: "error", options };
  return { includes, linter: { rules: { style: { noRestrictedImports } } } };
}

const within = (name) => [`!${name}`, `!${name}/**`];

function packagesOf(room) {
  const { packages } = rooms[room];
  return {
    group: ["**", "!./**", "!../**", ...packages.flatMap(within)],
    message: `${room}/ has ${packages.length === 0 ? "no packages" : `${packages.join(", ")} only`}: see src/rooms.json.`,
  };
}

/** What a file so many folders below `src/` must not reach. */
function roomsBeside(room, depth) {
  const up = "../".repeat(depth);
  const others = Object.keys(rooms).filter((other) => other !== room && !mayImport(room, other));
  const folders = others.map((other) => (isOperators(other) ? `${up}../${other}/**` : `${up}${other}/**`));
  return {
    group: [...folders, `${up}*.ts`, "**/src/**"],
    message: `${room}/ imports from the floors below only: see src/rooms.json.`,
  };
}

const noCommand = {
  group: ["**/cli/**"],
  message: "The command stands on the library, never the other way round.",
};

/** The overrides of biome.json. */
export function importRule() {
  const names = Object.keys(rooms).filter((name) => !isOperators(name));
  const depths = Array.from({ length: deepest }, (_, index) => index + 1);
  return [
    rule(["bench/**", "examples/**"], [noCommand]),
    rule(
      ["src/*.ts"],
      [noCommand, { group: ["**", "!./**", "!../**"], message: "An entry point only names what there is." }],
    ),
    rule(
      ["operators/**"],
      [{ ...packagesOf("operators"), group: ["**", "!rxjs", "!rxjs/**", "!fp-ts", "!fp-ts/**", "!./*.ts"] }],
    ),
    ...names.flatMap((name) =>
      depths.map((depth) =>
        rule([`src/${name}/${"*/".repeat(depth - 1)}*.ts`], [packagesOf(name), roomsBeside(name, depth)]),
      ),
    ),
  ];
}

/** The rooms as docs/architecture.md shows them, the highest floor first. */
export function houseOf() {
  const names = Object.keys(rooms);
  const highest = Math.max(...names.map((name) => rooms[name].floor));
  const floors = Array.from({ length: highest + 1 }, (_, index) => highest - index);
  const onFloor = (floor) => names.filter((name) => rooms[name].floor === floor);
  const picture = [
    "```mermaid",
    "block-beta",
    "  columns 1",
    ...floors.flatMap((floor) => [
      `  block:floor${floor}`,
      ...onFloor(floor).map((name) => `    ${name}["${name}/"]`),
      "  end",
    ]),
    "```",
  ];
  const rows = floors.flatMap((floor) =>
    onFloor(floor).map((name) => {
      const { says, packages } = rooms[name];
      const folder = isOperators(name) ? "operators" : `src/${name}`;
      return `| ${floor} | [\`${name}/\`](../${folder}) | ${says} | ${packages.map((one) => `\`${one}\``).join(" ")} |`;
    }),
  );
  return [
    ...picture,
    "",
    "| floor | room | what it is about | packages |",
    "| --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

/** Puts the rooms into the page. */
export function withHouse(page) {
  return page.replace(
    /(<!-- rooms -->\n)[\s\S]*(<!-- \/rooms -->)/,
    (_, begin, end) => `${begin}\n${houseOf()}\n\n${end}`,
  );
}

export const architecturePage = new URL("../docs/architecture.md", import.meta.url);

/** `biome.json` extends it. */
export const importRuleFile = new URL("importRule.json", import.meta.url);

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(importRuleFile, `${JSON.stringify({ overrides: importRule() })}\n`);
  writeFileSync(architecturePage, withHouse(readFileSync(architecturePage, "utf8")));
}

import { separate } from "fp-ts/lib/Array.js";
import { type Either, isLeft, left, right, tryCatch } from "fp-ts/lib/Either.js";
import {
  type Alias,
  type CST,
  type Document,
  isNode,
  LineCounter,
  Parser,
  parseAllDocuments,
  visit,
} from "yaml";
import { type Path, type Problem, pathText } from "../options/problem.ts";

/** What a YAML document says, and where. */
export interface Yaml {
  readonly value: unknown;
  /** Places a problem where the setting stands, or at the nearest thing around it. */
  readonly problem: (path: Path, message: string) => Problem;
}

/** More than any configuration has, and no more than can be read in a moment, without a stack that overflows. */
const most = { characters: 262_144, values: 10_000, depth: 100 };

/** What a text has too much of to be a configuration; undefined: nothing. */
function excessOf(text: string): string | undefined {
  if (text.length > most.characters)
    return `found ${text.length} characters, expected a configuration of no more than ${most.characters}`;
  let values = 0;
  // What the parser hands out is nested, but was not made by recursion; nor is it gone through so.
  for (const document of new Parser().parse(text)) {
    const left: { readonly token: CST.Token; readonly depth: number }[] = [{ token: document, depth: 0 }];
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const { token, depth } = next;
      values += 1;
      if (values > most.values) return `found more than ${most.values} values, expected a configuration`;
      if (depth > most.depth)
        return `found values more than ${most.depth} deep in each other, expected a configuration`;
      for (const inner of innerOf(token)) left.push({ token: inner, depth: depth + 1 });
    }
  }
  return undefined;
}

function innerOf(token: CST.Token): readonly CST.Token[] {
  if (token.type === "document") return token.value === undefined ? [] : [token.value];
  if (!("items" in token)) return [];
  return token.items.flatMap(({ key, value }) => [key, value].filter((inner) => inner != null));
}

/** Reads the documents of a YAML text, without empty ones; every mistake is a problem, and nothing is thrown or printed. */
export function readYaml(text: string): Either<readonly Problem[], readonly Yaml[]> {
  const tooMuch = excessOf(text);
  if (tooMuch !== undefined)
    return left([{ path: "", message: tooMuch, line: undefined, column: undefined }]);
  const lineCounter = new LineCounter();
  const placeOf = (offset: number | undefined): Place => {
    if (offset === undefined) return { line: undefined, column: undefined };
    const { line, col } = lineCounter.linePos(offset);
    return { line, column: col };
  };
  const documents = parseAllDocuments(text, { lineCounter, prettyErrors: false, logLevel: "error" });
  const { left: mistakes, right: read } = separate(
    documents.map((document) => readDocument(document, documents.length > 1, placeOf)),
  );
  if (mistakes.length > 0) return left(mistakes.flat());
  const filled = read.filter(({ value }) => value !== null);
  const problem = (path: Path, message: string) => ({ path: pathText(path), message, ...placeOf(undefined) });
  return right(filled.length > 0 ? filled : [read[0] ?? { value: null, problem }]);
}

type Place = Pick<Problem, "line" | "column">;

function readDocument(
  document: Document.Parsed,
  isOneOfSeveral: boolean,
  placeOf: (offset: number | undefined) => Place,
): Either<readonly Problem[], Yaml> {
  function mistake(message: string, offset?: number): Problem {
    return { path: "", message: `not YAML: ${message}`, ...placeOf(offset) };
  }

  /** An alias that leads nowhere, or round in a circle. */
  function aliasMistakes(): readonly Problem[] {
    const found: Problem[] = [];
    visit(document, {
      Alias(_key, alias: Alias, around) {
        const target = alias.resolve(document);
        if (target === undefined) found.push(mistake("found an alias without its anchor", alias.range?.[0]));
        else if (around.includes(target))
          found.push(mistake("found an alias inside of what it stands for", alias.range?.[0]));
      },
    });
    return found;
  }

  if (document.errors.length > 0)
    return left(document.errors.map(({ message, pos: [offset] }) => mistake(message, offset)));
  const aliases = aliasMistakes();
  if (aliases.length > 0) return left(aliases);
  const value = tryCatch((): unknown => document.toJS(), String);
  // Such as aliases of aliases that would fill the memory.
  if (isLeft(value)) return left([mistake(value.left)]);

  // Which of several documents it is, the place alone tells.
  const beginning = isOneOfSeveral ? document.contents?.range[0] : undefined;
  return right({
    value: value.right,
    problem: (path, message) => {
      const nodes = path.map((_, index) => document.getIn(path.slice(0, index + 1), true));
      const node = nodes.findLast((candidate) => isNode(candidate));
      return { path: pathText(path), message, ...placeOf(isNode(node) ? node.range?.[0] : beginning) };
    },
  });
}

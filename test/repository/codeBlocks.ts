import { readFileSync } from "node:fs";

/** A fenced block of a page. */
export interface CodeBlock {
  /** The page and the line of the fence, for messages. */
  readonly where: string;
  readonly language: string;
  /** The file that it shows, from the root of the project; undefined: it stands for itself. */
  readonly file: string | undefined;
  readonly code: string;
}

/** The fenced blocks of a Markdown page of the project. */
export function codeBlocks(page: string): CodeBlock[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), "utf8");
  return [...text.matchAll(/^```(\w*)(?: (\S+))?\n(.*?)^```$/gms)].map(
    ({ index, 1: language = "", 2: file, 3: code = "" }) => ({
      where: `${page}:${text.slice(0, index).split("\n").length}`,
      language,
      file,
      code,
    }),
  );
}

import { createReadStream, fstatSync, type Stats, statSync } from "node:fs";
import type { Readable } from "node:stream";
import { sinkError } from "../sinkError.ts";
import type { Extended, Extent } from "./withProgress.ts";

/** Text to publish. */
export interface Input extends Extended {
  /** Opens it from its beginning. */
  readonly open: () => Readable;
}

/** Standard input, which can be read once. */
export function standardInput(): Input {
  let isRead = false;
  return {
    name: "standard input",
    open: () => {
      if (isRead) {
        throw sinkError(
          "SourceCannotRewind",
          "Redis has lost acknowledged batches, and standard input cannot be read again: start again with the same input, or use --input FILE",
        );
      }
      isRead = true;
      return process.stdin;
    },
    // A file, if the shell has put one there: `< orders.ndjson`.
    extent: process.stdin.isTTY ? undefined : () => extentOf(process.stdin, fstatSync(process.stdin.fd)),
  };
}

/** A file, which can be read again. */
export function fileInput(path: string): Input {
  let reading: Readable | undefined;
  return {
    name: path,
    open: () => {
      reading = createReadStream(path);
      return reading;
    },
    extent: () => extentOf(reading, statSync(path, { throwIfNoEntry: false })),
  };
}

/** A pipe has no size. */
function extentOf(reading: Readable | undefined, file: Stats | undefined): Extent {
  const done = reading !== undefined && "bytesRead" in reading ? Number(reading.bytesRead) : 0;
  return { done, total: file?.isFile() ? file.size : undefined };
}

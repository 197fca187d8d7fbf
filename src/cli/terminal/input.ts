import { createReadStream, fstatSync, open, type Stats, statSync } from "node:fs";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { rxaddError } from "../../errors/rxaddError.ts";
import type { Extended, Extent } from "../progress/withProgress.ts";
import { UsageError } from "./exitCode.ts";
import type { Io } from "./io.ts";

/** Text to publish. */
export interface Input extends Extended {
  /** Fails with what keeps it from being read, if anything does: before the sink opens, and takes over from a writer that runs. */
  readonly prepare: () => Promise<void>;
  /** Opens it from its beginning. */
  readonly open: () => Readable;
}

/** Standard input, which can be read once. */
export function standardInput(stdin: Io["stdin"]): Input {
  let isRead = false;
  return {
    name: "standard input",
    prepare: async () => refuseFolder("standard input", fstatSync(stdin.fd)),
    open: () => {
      if (isRead) {
        throw rxaddError(
          "SourceCannotRewind",
          "Redis has lost acknowledged batches, and standard input cannot be read again: start again with the same input, or use --input FILE",
        );
      }
      isRead = true;
      return stdin;
    },
    // A file, if the shell has put one there: `< orders.ndjson`.
    extent: stdin.isTTY ? undefined : () => extentOf(stdin, fstatSync(stdin.fd)),
  };
}

/** A file, which can be read again. */
export function fileInput(path: string): Input {
  let reading: Readable | undefined;
  /** Opened, and not read yet. */
  let fd: number | undefined;
  return {
    name: path,
    prepare: async () => {
      fd = await promisify(open)(path, "r");
      refuseFolder(path, fstatSync(fd));
    },
    open: () => {
      reading = createReadStream(path, { fd });
      fd = undefined;
      return reading;
    },
    extent: () => extentOf(reading, statSync(path, { throwIfNoEntry: false })),
  };
}

/** A folder can be opened, and then not read. */
export function refuseFolder(name: string, file: Stats): void {
  if (file.isDirectory()) throw new UsageError(`${name}: found a folder, expected a file`);
}

/** A pipe has no size. */
function extentOf(reading: Readable | undefined, file: Stats | undefined): Extent {
  const done = reading !== undefined && "bytesRead" in reading ? Number(reading.bytesRead) : 0;
  return { done, total: file?.isFile() ? file.size : undefined };
}

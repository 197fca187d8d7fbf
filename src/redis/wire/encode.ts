import type { Bulk } from "./bulk.ts";

/** A value of a call, or values that are written already. */
export type Argument = string | Buffer | Bulk;

/** A command in Redis' protocol, RESP, in memory that is asked for. What lies together in memory is copied together. */
export function encode(
  args: readonly Argument[],
  memoryOf: (bytes: number) => Buffer = Buffer.allocUnsafe,
): Buffer {
  const pieces: (string | Buffer)[] = [];
  let words = 0;
  let text = "";
  let run: Bulk | undefined;
  let runEnd = 0;

  /** What is open goes to the pieces. */
  function close(): void {
    if (text !== "") pieces.push(text);
    text = "";
    if (run !== undefined) pieces.push(run.memory.subarray(run.start, runEnd));
    run = undefined;
  }

  for (const argument of args) {
    const isBulk = typeof argument !== "string" && !Buffer.isBuffer(argument);
    words += isBulk ? argument.words : 1;
    if (isBulk) {
      if (run?.memory !== argument.memory || runEnd !== argument.start) {
        close();
        run = argument;
      }
      runEnd = argument.end;
    } else {
      if (run !== undefined) close();
      text += `$${Buffer.byteLength(argument)}\r\n`;
      if (typeof argument === "string") text += argument;
      else {
        close();
        pieces.push(argument);
      }
      text += "\r\n";
    }
  }
  close();
  return joined([`*${words}\r\n`, ...pieces], memoryOf);
}

/** What a command holds behind so many of its values, where it lies there. */
export function valuesBehind(command: Buffer, first: number): Bulk {
  let start = command.indexOf(10) + 1;
  const words = Number(command.toString("latin1", 1, start - 2)) - first;
  for (let word = 0; word < first; word += 1) {
    const lineEnd = command.indexOf(13, start);
    start = lineEnd + 4 + Number(command.toString("latin1", start + 1, lineEnd));
  }
  const end = command.length;
  return { memory: command, start, end, words, bytes: end - start };
}

function joined(pieces: readonly (string | Buffer)[], memoryOf: (bytes: number) => Buffer): Buffer {
  let bytes = 0;
  for (const piece of pieces) bytes += Buffer.byteLength(piece);
  const all = memoryOf(bytes);
  let at = 0;
  for (const piece of pieces) at += typeof piece === "string" ? all.write(piece, at) : piece.copy(all, at);
  return all;
}

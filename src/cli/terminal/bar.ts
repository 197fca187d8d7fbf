import { type GenericFormatter, MultiBar, type SingleBar } from "cli-progress";
import type { Progress } from "../progress/progress.ts";
import { progressText } from "../progress/progressText.ts";
import { writeOut } from "./stdout.ts";

/** The bar on the terminal, while there is one. */
let shown: { readonly bars: MultiBar; readonly bar: SingleBar } | undefined;
/** The last result that the bar stands in for. */
let held: string | undefined;

/** Whether a bar can be drawn. */
export const hasTerminal = process.stderr.isTTY === true;

/** Writes a line for people on stderr, above the bar if there is one. */
export function sayLine(line: string): void {
  if (shown === undefined) {
    process.stderr.write(`${line}\n`);
    return;
  }
  shown.bars.log(`${line}\n`);
  // At once: a bar that goes before it is drawn again takes along what it has not written.
  shown.bars.update();
}

/**
 * Writes a result on stdout. Where that is the terminal on which a bar is drawn, the bar says the same: of those lines the
 * last one is written when the bar goes.
 */
export function writeResult(line: string): void {
  if (shown !== undefined && process.stdout.isTTY) held = line;
  else writeOut(`${line}\n`);
}

const width = 24;
const format: GenericFormatter = (_, { total }, { progress }: { progress: Progress }) => {
  const filled = Math.round((progress.share ?? 0) * width);
  const bar = total > 0 ? `${"█".repeat(filled)}${"░".repeat(width - filled)}  ` : "";
  return `${bar}${progressText(progress)}`.slice(0, (process.stderr.columns || 80) - 1);
};

/** Draws the bar, or draws it anew. */
export function drawBar(progress: Progress): void {
  const total = progress.share === undefined ? 0 : 1;
  if (shown === undefined) {
    const bars = new MultiBar({
      stream: process.stderr,
      format,
      clearOnComplete: true,
      // Whatever ends the command, the cursor is there.
      hideCursor: false,
      // Ctrl-C finishes what is queued, and the bar goes on meanwhile.
      gracefulExit: false,
      linewrap: true,
      emptyOnZero: true,
    });
    shown = { bars, bar: bars.create(total, 0, { progress }) };
  }
  shown.bar.update(progress.share ?? 0, { progress });
}

/** Takes the bar away. */
export function clearBar(): void {
  shown?.bars.stop();
  shown = undefined;
  if (held !== undefined) writeOut(`${held}\n`);
  held = undefined;
}

// A second Ctrl-C ends the command at once, bar or not.
process.once("exit", clearBar);

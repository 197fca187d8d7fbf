import { type GenericFormatter, MultiBar, type SingleBar } from "cli-progress";
import type { Progress } from "../progress/progress.ts";
import { progressText } from "../progress/progressText.ts";
import type { Output } from "./io.ts";
import type { Stdout } from "./stdout.ts";

const width = 24;

/** The bar on a terminal, while there is one, and the lines above it. */
export class Bar {
  readonly #stderr: Output;
  readonly #out: Stdout;
  #shown: { readonly bars: MultiBar; readonly bar: SingleBar } | undefined;
  /** The last result that the bar stands in for. */
  #held: string | undefined;

  constructor(stderr: Output, out: Stdout) {
    this.#stderr = stderr;
    this.#out = out;
  }

  /** Whether it can be drawn. */
  get isPossible(): boolean {
    return this.#stderr.isTTY === true;
  }

  /** Writes a line for people on stderr, above the bar if there is one. */
  sayLine(line: string): void {
    if (this.#shown === undefined) {
      this.#stderr.write(`${line}\n`);
      return;
    }
    this.#shown.bars.log(`${line}\n`);
    // At once: a bar that goes before it is drawn again takes along what it has not written.
    this.#shown.bars.update();
  }

  /**
   * Writes a result on stdout. Where that is the terminal on which a bar is drawn, the bar says the same: of those lines the
   * last one is written when the bar goes.
   */
  writeResult(line: string): void {
    if (this.#shown !== undefined && this.#out.isTerminal) this.#held = line;
    else this.#out.write(`${line}\n`);
  }

  /** Draws it, or draws it anew. */
  draw(progress: Progress): void {
    const total = progress.share === undefined ? 0 : 1;
    if (this.#shown === undefined) {
      const bars = new MultiBar({
        stream: this.#stderr,
        format: this.#format,
        clearOnComplete: true,
        // Whatever ends the command, the cursor is there.
        hideCursor: false,
        // Ctrl-C finishes what is queued, and the bar goes on meanwhile.
        gracefulExit: false,
        linewrap: true,
        emptyOnZero: true,
      });
      this.#shown = { bars, bar: bars.create(total, 0, { progress }) };
    }
    this.#shown.bar.update(progress.share ?? 0, { progress });
  }

  /** Takes it away. */
  clear(): void {
    this.#shown?.bars.stop();
    this.#shown = undefined;
    if (this.#held !== undefined) this.#out.write(`${this.#held}\n`);
    this.#held = undefined;
  }

  readonly #format: GenericFormatter = (_, { total }, { progress }: { progress: Progress }) => {
    const filled = Math.round((progress.share ?? 0) * width);
    const bar = total > 0 ? `${"█".repeat(filled)}${"░".repeat(width - filled)}  ` : "";
    return `${bar}${progressText(progress)}`.slice(0, (this.#stderr.columns || 80) - 1);
  };
}

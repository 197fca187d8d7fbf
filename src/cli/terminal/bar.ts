import { type GenericFormatter, MultiBar, type SingleBar } from "cli-progress";
import type { Progress } from "../progress/progress.ts";
import { togetherText } from "../progress/progressText.ts";
import type { Output } from "./io.ts";
import type { Stdout } from "./stdout.ts";

const width = 24;

/** What is on the terminal, whoever draws it. */
interface Shown {
  drawn?: { readonly bars: MultiBar; readonly bar: SingleBar } | undefined;
  /** How far each one is that shows it, by name. */
  readonly progress: Map<string, Progress>;
  /** The last result of each one that the bar stands in for. */
  readonly held: Map<string, string>;
}

/** The bar on a terminal, while there is one, and the lines above it; several that work side by side share it. */
export class Bar {
  readonly #stderr: Output;
  readonly #out: Stdout;
  readonly #name: string;
  readonly #shown: Shown;

  constructor(
    stderr: Output,
    out: Stdout,
    name = "",
    shown: Shown = { progress: new Map(), held: new Map() },
  ) {
    this.#stderr = stderr;
    this.#out = out;
    this.#name = name;
    this.#shown = shown;
  }

  /** The same bar, for one of several, which may have several parts. */
  of(name: string): Bar {
    const whole = this.#name === "" ? name : `${this.#name}/${name}`;
    return new Bar(this.#stderr, this.#out, whole, this.#shown);
  }

  /** Whether it can be drawn. */
  get isPossible(): boolean {
    return this.#stderr.isTTY === true;
  }

  /** Writes a line for people on stderr, above the bar if there is one. */
  sayLine(line: string): void {
    const { drawn } = this.#shown;
    if (drawn === undefined) {
      this.#stderr.write(`${line}\n`);
      return;
    }
    drawn.bars.log(`${line}\n`);
    // At once: a bar that goes before it is drawn again takes along what it has not written.
    drawn.bars.update();
  }

  /**
   * Writes a result on stdout. Where that is the terminal on which a bar is drawn, the bar says the same: of those lines the
   * last one is written when the bar goes.
   */
  writeResult(line: string): void {
    if (this.#shown.drawn !== undefined && this.#out.isTerminal) this.#shown.held.set(this.#name, line);
    else this.#out.write(`${line}\n`);
  }

  /** Draws it, or draws it anew. */
  draw(progress: Progress): void {
    const shown = this.#shown;
    shown.progress.set(this.#name, progress);
    const share = shareOf(shown.progress);
    if (shown.drawn === undefined) {
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
      shown.drawn = { bars, bar: bars.create(share === undefined ? 0 : 1, 0) };
    }
    shown.drawn.bar.update(share ?? 0);
  }

  /** Takes it away, unless others still show how far they are. */
  clear(): void {
    this.#shown.progress.delete(this.#name);
    if (this.#shown.progress.size === 0) this.clearAll();
  }

  /** Takes it away, whoever shows what. */
  clearAll(): void {
    const { drawn, progress, held } = this.#shown;
    drawn?.bars.stop();
    this.#shown.drawn = undefined;
    progress.clear();
    for (const line of held.values()) this.#out.write(`${line}\n`);
    held.clear();
  }

  readonly #format: GenericFormatter = () => {
    const { progress } = this.#shown;
    const share = shareOf(progress);
    const filled = Math.round((share ?? 0) * width);
    const bar = share === undefined ? "" : `${"█".repeat(filled)}${"░".repeat(width - filled)}  `;
    return `${bar}${togetherText(progress)}`.slice(0, (this.#stderr.columns || 80) - 1);
  };
}

/** The share of the work where only one does it. */
function shareOf(progress: ReadonlyMap<string, Progress>): number | undefined {
  const [first, ...others] = progress.values();
  return others.length > 0 ? undefined : first?.share;
}

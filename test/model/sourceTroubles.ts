import { type Happening, type History, mayBeRefused, sinksOf } from "./sourceHistory.ts";

/** What has happened to the sinks of a pipeline, and what of it they may say. */
export class Troubles {
  /** Sinks whose Redis is away, or does not do what it is asked for. */
  readonly down = new Set<number>();
  /** Sinks of which a stream may hold events twice: nothing tells any more which are there, or somebody went on without that. */
  readonly doubling = new Set<number>();
  /** Sinks that may have to be left out, or refused. */
  readonly #troubled = new Set<number>();
  /** Sinks that have lost their producer state, and the mark that tells of it. */
  readonly #stateless = new Set<number>();
  readonly #markless = new Set<number>();
  /** A process was killed: of sinks that are not waited for, one may lack what the source has forgotten. */
  #mayLag = false;
  readonly #history: History;

  constructor(history: History) {
    this.#history = history;
  }

  get isNone(): boolean {
    return this.#troubled.size === 0;
  }

  /** Told of each happening beforehand. */
  happen(happening: Happening): void {
    const { policy, named } = this.#history;
    const { do: what } = happening;
    if (what === "dropMark" || (what === "makeAnew" && named))
      for (let sink = 0; sink < sinksOf(policy); sink += 1) this.#troubled.add(sink);
    if (what === "crash") this.#mayLag = policy === "quorum" || policy === "optional";
    if (!("sink" in happening) || happening.sink >= sinksOf(policy)) return;
    const { sink } = happening;
    switch (what) {
      case "up":
        this.down.delete(sink);
        return;
      case "cut":
        return;
      case "loseMark":
        this.#markless.add(sink);
        break;
      case "loseState":
        this.#troubled.add(sink);
        this.#stateless.add(sink);
        break;
      case "down":
        this.#troubled.add(sink);
        this.down.add(sink);
        return;
      default:
        this.#troubled.add(sink);
        this.#stateless.delete(sink);
        if (what === "rename" && happening.what === "id") this.doubling.add(sink);
    }
    // A stream that stands, and nothing that tells whose it is.
    if (this.#stateless.has(sink) && this.#markless.has(sink)) this.doubling.add(sink);
  }

  /** Whether a sink that is to be opened has only a mark that tells of its producer state: it must not begin, unless it adopts the stream. */
  isBeheaded(sink: number): boolean {
    return this.#stateless.has(sink) && !this.#markless.has(sink);
  }

  /** A process opens the sinks that are there. */
  open(sink: number, adopt: boolean): void {
    if (adopt && this.#stateless.delete(sink)) this.doubling.add(sink);
    if (!this.down.has(sink)) this.#markless.delete(sink);
  }

  /** Told of each sink that is behind; returns whether it may be. */
  behind(sink: number, { message }: Error): boolean {
    const { policy } = this.#history;
    const isLate = this.#mayLag && (policy === "quorum" || sink > 0);
    // Too much came at once for the small buffer of a sink that others do not wait for.
    const isOverrun = sink > 0 && /buffer/.test(message);
    const mayBe = this.#troubled.has(sink) || isLate || isOverrun;
    this.#troubled.add(sink);
    return mayBe;
  }

  /** Whether a start may be refused. */
  mayBeRefused(): boolean {
    return mayBeRefused(this.#history.policy, this.#troubled, this.#mayLag);
  }

  /** Nothing is lacking anywhere: what has happened is over for sinks that stand where the source goes on. */
  forgive(standing: readonly number[]): void {
    this.#mayLag = false;
    for (const sink of standing) this.#troubled.delete(sink);
  }
}

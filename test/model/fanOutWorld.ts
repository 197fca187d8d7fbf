import { isRewind, rxaddError } from "../../src/errors/rxaddError.ts";
import type { Checkpoint } from "../../src/event/checkpoint.ts";
import { type StandardPosition, standardPositions } from "../../src/event/positions.ts";
import {
  type Command,
  type Failure,
  type FanOutRules,
  type FanOutState,
  flowOf,
  type Happening,
  newFanOut,
  step,
} from "../../src/pipeline/fanOutState.ts";

/** How a run begins: events are numbered from 1 on, and 0 is before all of them. */
export interface Beginning {
  readonly sinks: readonly { readonly stands: number; readonly isVoter: boolean }[];
  readonly votes: number;
  /** Whether positions can be compared. */
  readonly isOrdered: boolean;
  /** What the source no longer has. */
  readonly gone: number;
  readonly maxLate: number;
}

/** What may happen next; `sink` is one of them. */
export interface Act {
  readonly kind:
    | "open"
    | "acknowledge"
    | "pause"
    | "resume"
    | "leave"
    | "fail"
    | "rewind"
    | "finish"
    | "emit"
    | "complete"
    | "break"
    | "patience"
    | "silence";
  readonly sink: number;
  readonly count: number;
}

interface Model {
  readonly isVoter: boolean;
  /** Up to where it has everything, as the stream says. */
  has: number;
  /** What it was given, and how much of that it has told of. */
  given: number[];
  told: number;
  late: number[];
  phase: "opening" | "running" | "behind" | "done";
  intake: "open" | "paused" | "left";
  hasEnd: boolean;
}

/** Sinks, a source and a clock in memory, around {@link step}; `wrong` is the first promise that did not hold. */
export class FanOutWorld {
  readonly #start: Beginning;
  readonly #rules: FanOutRules;
  readonly #sinks: Model[];
  #state: FanOutState<StandardPosition>;
  #source: "closed" | "open" | "ended" = "closed";
  #next = 0;
  #hasBegun = false;
  #isWaiting = false;
  readonly #silent = new Set<number>();
  #emittedAt = 0;
  #cause: Happening<StandardPosition> | undefined;
  wrong: string | undefined;
  /** How many events checkpoints were given out for. */
  safe = 0;
  end: "none" | "completed" | "failed" = "none";

  /** @param rules - what the run goes by; the promises are those of `start` */
  constructor(start: Beginning, rules: FanOutRules = { votes: start.votes, patienceMs: 1 }) {
    this.#start = start;
    this.#rules = rules;
    this.#sinks = start.sinks.map(({ stands, isVoter }) => ({
      ...{ isVoter, has: stands, given: [], told: 0, late: [], phase: "opening", intake: "open" },
      ...{ hasEnd: false },
    }));
    this.#state = newFanOut(
      start.sinks.map(({ isVoter }, index) => ({ id: `${index}`, positions: standardPositions, isVoter })),
    );
  }

  /** Lets it happen, where it can. */
  act({ kind, sink: number, count }: Act): void {
    const branch = number % this.#sinks.length;
    const sink = this.#sinks[branch];
    if (sink === undefined || this.end !== "none") return;
    switch (kind) {
      case "open":
        if (sink.phase === "opening") this.#happens({ type: "opened", branch, from: this.#at(sink.has) });
        break;
      case "acknowledge":
        this.#acknowledge(branch, sink, count);
        break;
      case "pause":
      case "resume":
        if (sink.phase !== "running") break;
        if (sink.intake !== "left") sink.intake = kind === "pause" ? "paused" : "open";
        this.#happens({ type: "flow", branch, signal: kind });
        break;
      case "leave":
        if (sink.phase !== "running" || this.#source === "ended") break;
        sink.intake = "left";
        this.#happens({ type: "left", branch });
        break;
      case "fail":
        this.#fail(branch, sink, new Error("refused"));
        break;
      case "rewind":
        this.#rewind(branch, sink, count);
        break;
      case "finish":
        if (sink.phase !== "running" || !sink.hasEnd || sink.told < sink.given.length) break;
        sink.phase = "done";
        this.#happens({ type: "completed", branch });
        break;
      case "emit":
        for (let left = count; left > 0; left -= 1) this.#emit();
        break;
      case "complete":
      case "break":
        if (this.#source !== "open") break;
        this.#source = "ended";
        this.#happens(
          kind === "complete"
            ? { type: "sourceCompleted" }
            : { type: "sourceFailed", error: new Error("the source broke") },
        );
        break;
      case "patience":
        if (!this.#isWaiting) break;
        this.#isWaiting = false;
        this.#happens({ type: "patienceOver" });
        break;
      case "silence":
        for (const branch of [...this.#silent]) {
          this.#silent.delete(branch);
          this.#happens({ type: "silent", branch });
        }
        break;
    }
  }

  /** From here on nothing goes wrong any more: it has to come to its end. */
  finish(): void {
    const all = (kind: Act["kind"], count = 1) =>
      this.#sinks.forEach((_, sink) => {
        this.act({ kind, sink, count });
      });
    all("silence");
    all("open");
    all("resume");
    all("patience");
    all("emit");
    all("acknowledge", Number.POSITIVE_INFINITY);
    all("complete");
    all("acknowledge", Number.POSITIVE_INFINITY);
    all("finish");
    const isHeldUp = this.#sinks.some(({ phase, intake }) => phase === "opening" || intake === "left");
    if (this.end === "none" && !isHeldUp) this.#breaks("one that has everything is not told the end");
    all("patience");
    if (this.end === "none" && this.#open().length >= this.#start.votes) this.#breaks("it does not end");
  }

  #acknowledge(branch: number, sink: Model, count: number): void {
    const events = Math.min(count, sink.given.length - sink.told);
    if (sink.phase !== "running" || events === 0) return;
    sink.told += events;
    sink.has = Math.max(sink.has, sink.given[sink.told - 1] ?? 0);
    const position = this.#positionOf(sink.has);
    const checkpoint: Checkpoint<StandardPosition> = {
      ...{ sink: `${branch}`, stream: "s", position, sequence: 1, events, replayed: 0, entryId: "1-0" },
    };
    this.#happens({ type: "acknowledged", branch, checkpoint });
  }

  /** Its Redis has lost some of what it had. */
  #rewind(branch: number, sink: Model, count: number): void {
    if (sink.phase !== "opening" && sink.phase !== "running") return;
    sink.has = Math.max(0, sink.has - count);
    sink.told = 0;
    const position = this.#at(sink.has);
    this.#fail(branch, sink, rxaddError("RewindRequired", "lost", undefined, { position }));
  }

  #fail(branch: number, sink: Model, error: unknown): void {
    if (sink.phase === "opening" || sink.phase === "running")
      this.#happens({ type: "failed", branch, error });
  }

  #emit(): void {
    if (this.#source !== "open" || this.end !== "none" || flowOf(this.#rules, this.#state) === "pause")
      return;
    this.#next += 1;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.#happens({ type: "begun", at: undefined });
    }
    this.#sinks.forEach((sink, branch) => {
      if (sink.phase === "running") this.#give(sink, this.#next);
      if (sink.phase !== "opening") return;
      sink.late.push(this.#next);
      if (sink.late.length > this.#start.maxLate) this.#fail(branch, sink, new Error("too many"));
    });
  }

  #give(sink: Model, event: number): void {
    const last = sink.given.at(-1) ?? (this.#start.isOrdered ? undefined : sink.has);
    const isNext = last === undefined ? event <= sink.has + 1 : event === last + 1;
    if (!isNext) this.#breaks(`${event} follows ${last ?? sink.has}`);
    sink.given.push(event);
  }

  #happens(happening: Happening<StandardPosition>): void {
    if (this.end !== "none") return;
    const before = this.#cause;
    this.#cause = happening;
    try {
      const [state, commands] = step(this.#rules, this.#state, happening);
      this.#state = state;
      if (happening.type === "opened") this.#opened(happening.branch);
      for (const command of commands) if (this.end === "none") this.#perform(command);
    } catch (error) {
      if (this.#start.isOrdered) this.#breaks(`threw ${error}`);
      this.end = "failed";
    }
    if (this.end === "none") this.#holds();
    this.#cause = before;
  }

  #opened(branch: number): void {
    const sink = this.#sinks[branch];
    if (sink?.phase === "opening") sink.phase = "running";
  }

  #perform(command: Command<StandardPosition>): void {
    const sink = "branch" in command ? this.#sinks[command.branch] : undefined;
    switch (command.type) {
      case "openSource":
        this.#openSource(command.from);
        break;
      case "feed":
        for (const event of sink?.late.splice(0) ?? []) if (sink !== undefined) this.#give(sink, event);
        break;
      case "endInput":
        if (sink !== undefined) sink.hasEnd = true;
        break;
      case "listen":
        this.#silent.add(command.branch);
        break;
      case "leave":
        if (sink !== undefined) this.#leave(sink, command);
        break;
      case "emit":
        this.#checkpoint(command.checkpoint);
        break;
      case "wait":
        this.#isWaiting = true;
        break;
      case "end":
        this.#ends(command.failure);
        break;
    }
  }

  #openSource(from: StandardPosition | undefined): void {
    if (this.#source === "open") this.#breaks("the source is opened twice");
    if (this.#open().length < this.#start.votes) this.#breaks("the source is opened before enough are there");
    this.#isWaiting = false;
    this.#next = Number(`${from ?? 0}`.replace("t", ""));
    this.#source = this.#next < this.#start.gone ? "ended" : "open";
    if (this.#source === "open") return;
    // It may be opened again, further on.
    this.#happens({ type: "sourceFailed", error: rxaddError("PositionUnavailable", "gone") });
  }

  #leave(sink: Model, { at, cause }: Extract<Command<StandardPosition>, { readonly type: "leave" }>): void {
    if (sink.phase === "behind") this.#breaks("it is told twice that one is behind");
    const wasOpen = sink.phase === "running";
    sink.phase = "behind";
    sink.late = [];
    // Where one stands that was never opened, nobody has said.
    const stands = wasOpen || isRewind(cause) ? this.#at(sink.has) : undefined;
    if (JSON.stringify(at) !== JSON.stringify(stands))
      this.#breaks(`one stands at ${JSON.stringify(stands)}, told was ${JSON.stringify(at)}`);
    const left = this.#voters().filter(({ phase }) => phase !== "behind");
    if (sink.isVoter && left.length < this.#start.votes) this.#breaks("one that is needed is left behind");
  }

  #checkpoint({ position, events }: Checkpoint<StandardPosition>): void {
    const at = Number(`${position ?? 0}`.replace("t", ""));
    const having = this.#voters().filter(({ has }) => has >= at);
    if (having.length < this.#start.votes) this.#breaks(`${at} is told, and only ${having.length} have it`);
    if (at < this.#emittedAt) this.#breaks(`${at} comes after ${this.#emittedAt}`);
    if (events < 1) this.#breaks("a checkpoint of nothing");
    this.#emittedAt = at;
    this.safe += events;
  }

  #ends(failure: Failure | undefined): void {
    this.end = failure === undefined ? "completed" : "failed";
    const done = this.#voters().filter(({ phase }) => phase === "done");
    const under = this.#sinks.filter(({ phase }) => phase === "opening" || phase === "running");
    if (this.#source === "ended" && done.length >= this.#start.votes) {
      if (under.length > 0) this.#breaks("it ends while one makes progress");
      return;
    }
    const cause = this.#cause;
    if (this.end === "completed") this.#breaks("it completes before enough are done");
    if (cause === undefined || !("branch" in cause)) {
      if (cause?.type !== "sourceFailed") this.#breaks(`it ends with ${cause?.type}`);
      return;
    }
    const failing = this.#sinks[cause.branch];
    const others = this.#voters().filter((sink) => sink !== failing && sink.phase !== "behind");
    if (failing?.isVoter !== true) this.#breaks("one that is optional ends it");
    if (others.length >= this.#start.votes) this.#breaks("one that can be spared ends it");
  }

  /** What holds whenever nothing is under way. */
  #holds(): void {
    const { votes } = this.#start;
    const safe = nth(votes, this.#voters(), ({ told }) => told);
    const at = nth(votes, this.#voters(), ({ told, has }) => (told === 0 ? 0 : has));
    // After a loss it is told once it is further than before.
    if (this.safe < safe && at >= this.#emittedAt) this.#breaks(`${safe} are safe, ${this.safe} told`);
    if (this.#source !== "open") return;
    const taking = this.#open().filter(({ intake }) => intake === "open");
    const flow = taking.length < votes ? "pause" : "resume";
    if (flow !== flowOf(this.#rules, this.#state)) this.#breaks(`${taking.length} take events, not ${flow}`);
  }

  #voters(): Model[] {
    return this.#sinks.filter(({ isVoter }) => isVoter);
  }

  #open(): Model[] {
    return this.#voters().filter(({ phase }) => phase === "running");
  }

  #at(event: number): StandardPosition | undefined {
    return event === 0 ? undefined : this.#positionOf(event);
  }

  #positionOf(event: number): StandardPosition {
    return this.#start.isOrdered ? event : `t${event}`;
  }

  #breaks(promise: string): void {
    this.wrong ??= promise;
  }
}

/** What as many have as it takes. */
function nth(votes: number, sinks: readonly Model[], of: (sink: Model) => number): number {
  return sinks.map(of).sort((a, b) => b - a)[votes - 1] ?? 0;
}

import { type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import type { Argument } from "../wire/encode.ts";
import { redisErrorOf } from "../wire/redisError.ts";

/** A command that writes: its name, its key, its further arguments. */
export type Effect = readonly [
  command: string,
  key: string,
  ...args: readonly (string | number | bigint | Buffer)[],
];

/** What becomes of a delivery. */
export type Settlement =
  | {
      readonly kind: "acknowledge";
      readonly entryId: string;
      /** What it is remembered by as processed; empty: it is not. */
      readonly mark: string;
      /** Written in the same step. */
      readonly effects: readonly Effect[];
      /** Whether it leaves the stream, once every group has it. */
      readonly removes: boolean;
    }
  /** Tells that it is in good hands. */
  | { readonly kind: "keepAlive"; readonly entryId: string }
  /** Its handler starts, for the time that `deliveries` says. */
  | { readonly kind: "start"; readonly entryId: string; readonly deliveries: number }
  /** Whoever asks for what has been idle for `idleMs` may have it at once; it was started as often as `deliveries` says. */
  | {
      readonly kind: "handBack";
      readonly entryId: string;
      readonly idleMs: number;
      readonly deliveries: number;
    }
  | {
      readonly kind: "deadLetter";
      readonly entryId: string;
      /** Their stream. */
      readonly deadLetters: string;
      /** Fields and values, alternating. */
      readonly fields: readonly (string | Buffer)[];
      readonly removes: boolean;
    };

/**
 * What came of a settlement: it is acknowledged, with all that was asked for; it is pending still, and this consumer's;
 * another consumer has it; nobody has it any more, so that nothing was done; or Redis refused.
 */
export type Outcome = "acknowledged" | "kept" | "another's" | "gone" | RxaddError;

/** Whether XACK does all that it asks for. */
export function isPlain(settlement: Settlement): boolean {
  return (
    settlement.kind === "acknowledge" &&
    settlement.mark === "" &&
    settlement.effects.length === 0 &&
    !settlement.removes
  );
}

/** The keys that it needs beside its stream and the marks. */
export function keysOf(settlement: Settlement): readonly string[] {
  switch (settlement.kind) {
    case "acknowledge":
      return settlement.effects.map(([, key]) => key);
    case "deadLetter":
      return [settlement.deadLetters];
    default:
      return [];
  }
}

/** About how large it is to send, in bytes. */
export function sizeOf(settlement: Settlement): number {
  let size = 0;
  if (settlement.kind === "acknowledge") {
    for (const effect of settlement.effects)
      for (const word of effect)
        size += typeof word === "object" || typeof word === "string" ? word.length : 8;
  } else if (settlement.kind === "deadLetter") {
    for (const { length } of settlement.fields) size += length;
  }
  return size;
}

/** What a Cluster goes by to tell in which slot a key stands. */
export function tagOf(key: string): string {
  return /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key;
}

/** Whether it writes to keys that a Cluster need not have in the slot of the stream. */
export function strays(stream: string, settlement: Settlement): boolean {
  return settlement.kind === "acknowledge" && keysOf(settlement).some((key) => tagOf(key) !== tagOf(stream));
}

const settled: ReadonlySet<unknown> = new Set<Outcome>(["acknowledged", "kept", "another's", "gone"]);

function isSettled(text: unknown): text is Exclude<Outcome, RxaddError> {
  return settled.has(text);
}

/** Most entries of a run: Lua's stack holds about 8,000 words. */
const mostOfRun = 3000;

/** How `settleScript` is told of them. */
export function argsOf(settlements: readonly Settlement[]): readonly Argument[] {
  const runs: { readonly kind: string; readonly settlements: Settlement[] }[] = [];
  for (const settlement of settlements) {
    const isWritten = bringsCommands(settlement);
    const name = isWritten ? "write" : settlement.kind;
    const kind = isFinal(settlement) && settlement.removes ? `${name}+` : name;
    const run = runs.at(-1);
    if (run?.kind === kind && !isWritten && run.settlements.length < mostOfRun)
      run.settlements.push(settlement);
    else runs.push({ kind, settlements: [settlement] });
  }
  const args: Argument[] = [];
  for (const { kind, settlements } of runs) {
    args.push(kind, `${settlements.length}`);
    for (const { entryId } of settlements) args.push(entryId);
    for (const settlement of settlements) addArgs(args, settlement);
  }
  return args;
}

function bringsCommands(settlement: Settlement): boolean {
  return settlement.kind === "acknowledge" && settlement.effects.length > 0;
}

/** What is told of it beside its entry. */
function addArgs(args: Argument[], settlement: Settlement): void {
  switch (settlement.kind) {
    case "acknowledge": {
      const { mark, effects } = settlement;
      args.push(mark);
      if (effects.length === 0) return;
      args.push(`${effects.length}`);
      for (const effect of effects) {
        args.push(`${effect.length}`);
        for (const word of effect)
          args.push(typeof word === "string" || Buffer.isBuffer(word) ? word : `${word}`);
      }
      return;
    }
    case "keepAlive":
      return;
    case "start":
      args.push(`${settlement.deliveries}`);
      return;
    case "handBack":
      args.push(`${Math.round(settlement.idleMs)}`, `${settlement.deliveries}`);
      return;
    case "deadLetter": {
      const { deadLetters, fields } = settlement;
      args.push(deadLetters, `${fields.length}`, ...fields);
    }
  }
}

/** Whether sending it twice would answer something else the second time. */
export function isFinal(
  settlement: Settlement,
): settlement is Extract<Settlement, { readonly kind: "acknowledge" | "deadLetter" }> {
  return settlement.kind === "acknowledge" || settlement.kind === "deadLetter";
}

/** Reads what `settleScript` returns. */
export function outcomesOf(reply: unknown, count: number, where: string): readonly Outcome[] {
  const lines = String(reply).split("\n");
  if (lines.length !== count)
    throw rxaddError("Refused", `${where} answered ${JSON.stringify(reply)}, expected ${count} outcomes`);
  return lines.map((text) => (isSettled(text) ? text : redisErrorOf(new Error(text), where)));
}

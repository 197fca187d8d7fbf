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
    }
  /** Tells that it is in good hands. */
  | { readonly kind: "keepAlive"; readonly entryId: string }
  /** Its handler starts, for the time that `deliveries` says. */
  | { readonly kind: "start"; readonly entryId: string; readonly deliveries: number }
  /** Whoever asks for what has been idle for `idleMs` may have it at once. */
  | { readonly kind: "handBack"; readonly entryId: string; readonly idleMs: number }
  | {
      readonly kind: "deadLetter";
      readonly entryId: string;
      /** Their stream. */
      readonly deadLetters: string;
      /** Fields and values, alternating. */
      readonly fields: readonly (string | Buffer)[];
    };

/**
 * What came of a settlement: it is acknowledged, with all that was asked for; it is pending still, and this consumer's;
 * another consumer has it; nobody has it any more, so that nothing was done; or Redis refused.
 */
export type Outcome = "acknowledged" | "kept" | "another's" | "gone" | RxaddError;

/** Whether XACK does all that it asks for. */
export function isPlain(settlement: Settlement): boolean {
  return settlement.kind === "acknowledge" && settlement.mark === "" && settlement.effects.length === 0;
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

function counted(words: readonly Argument[]): readonly Argument[] {
  return [`${words.length}`, ...words];
}

/** How `settleScript` is told of it. */
export function argsOf(settlement: Settlement): readonly Argument[] {
  const { kind, entryId } = settlement;
  switch (settlement.kind) {
    case "acknowledge": {
      const { mark, effects } = settlement;
      const commands = effects.map((effect) =>
        counted(effect.map((word) => (typeof word === "string" || Buffer.isBuffer(word) ? word : `${word}`))),
      );
      return [kind, entryId, mark, `${commands.length}`, ...commands.flat()];
    }
    case "keepAlive":
      return [kind, entryId];
    case "start":
      return [kind, entryId, `${settlement.deliveries}`];
    case "handBack":
      return [kind, entryId, `${Math.round(settlement.idleMs)}`];
    case "deadLetter":
      return [kind, entryId, settlement.deadLetters, ...counted(settlement.fields)];
  }
}

/** Whether sending it twice would answer something else the second time. */
export function isFinal({ kind }: Settlement): boolean {
  return kind === "acknowledge" || kind === "deadLetter";
}

/** Reads what `settleScript` returns. */
export function outcomesOf(reply: unknown, count: number, where: string): readonly Outcome[] {
  if (!Array.isArray(reply) || reply.length !== count) {
    throw rxaddError("Refused", `${where} answered ${JSON.stringify(reply)}, expected ${count} outcomes`);
  }
  return reply.map((text) => (isSettled(text) ? text : redisErrorOf(new Error(String(text)), where)));
}

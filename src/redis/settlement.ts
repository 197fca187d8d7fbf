import { isRetryable, type SinkError, sinkError } from "../sinkError.ts";
import { redisErrorOf } from "./redisError.ts";
import type { Argument } from "./script.ts";

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
  | {
      /** Keeps it, or hands it back if it is idle for long enough. */
      readonly kind: "hold";
      readonly entryId: string;
      readonly deliveries: number;
      readonly idleMs: number;
    }
  | {
      readonly kind: "deadLetter";
      readonly entryId: string;
      /** Their stream. */
      readonly deadLetters: string;
      /** Fields and values, alternating. */
      readonly fields: readonly (string | Buffer)[];
    };

/** `lost`: another consumer has it, or nobody; or why Redis refused, for good. */
export type Outcome = "settled" | "lost" | SinkError;

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
    case "hold":
      return [];
  }
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
    case "hold":
      return [kind, entryId, `${settlement.deliveries}`, `${Math.round(settlement.idleMs)}`];
    case "deadLetter":
      return [kind, entryId, settlement.deadLetters, ...counted(settlement.fields)];
  }
}

/** Reads what `settleScript` returns; fails if trying again is right. */
export function outcomesOf(reply: unknown, count: number, where: string): readonly Outcome[] {
  if (!Array.isArray(reply) || reply.length !== count) {
    throw sinkError("Refused", `${where} answered ${JSON.stringify(reply)}, expected ${count} outcomes`);
  }
  return reply.map((text) => {
    if (text === "settled" || text === "lost") return text;
    const refusal = redisErrorOf(new Error(String(text)), where);
    if (isRetryable(refusal)) throw refusal;
    return refusal;
  });
}

import { kindOf } from "../errors/thrown.ts";
import type { Effect } from "../redis/group/settlement.ts";
import { type Decision, decided, handled, type Verdict } from "./delivery.ts";

type Word = Effect[number];

/** Most words of one command: what a script can hand to Redis at once is a little more. */
const mostWords = 7_500;

/** Commands for Redis that a handler asks for; see {@link effects}. */
export class Effects implements Decision {
  readonly commands: readonly Effect[];
  readonly [decided]: Verdict;

  /** Throws a TypeError at what can be no command of Redis. */
  constructor(commands: readonly Effect[]) {
    this.commands = commands.map(checked);
    this[decided] = { ...handled, effects: this.commands };
  }
}

/** The command as it is now: whoever made it may use its list and its buffers again. */
function checked(command: Effect): Effect {
  if (!Array.isArray(command))
    throw new TypeError(`effects: found ${kindOf(command)}, expected commands such as ["INCR", "total"]`);
  const [name, key, ...args] = command;
  const title = typeof name === "string" && /^[\w.]+$/.test(name) ? name : "a command";
  if (typeof name !== "string" || name === "" || typeof key !== "string") {
    throw new TypeError(
      `effects: ${title}: found ${kindOf(name)} and ${kindOf(key)}, expected the command's name and its key, both texts`,
    );
  }
  if (command.length > mostWords) {
    throw new TypeError(
      `effects: ${title}: found ${command.length} words, expected at most ${mostWords}: make several commands of it`,
    );
  }
  return [name, key, ...args.map((word, index) => checkedWord(word, title, index + 1))];
}

function checkedWord(word: Word, title: string, at: number): Word {
  if (typeof word === "string" || typeof word === "bigint") return word;
  if (typeof word === "number" && Number.isFinite(word)) return word;
  if (Buffer.isBuffer(word)) return Buffer.from(word);
  throw new TypeError(
    `effects: ${title}: argument ${at}: found ${kindOf(word)}, expected a text, a finite number, a bigint or a Buffer`,
  );
}

/**
 * Commands that are written in the same atomic step as the acknowledgement, so that they happen exactly once.
 *
 * Each has a key first, which in a Cluster stands in the stream's slot, and at most 7,500 words. One that cannot be
 * sent throws here, so that the delivery fails. If Redis refuses one, the delivery counts as failed, too; those
 * before it stand, so put first what may be refused.
 *
 * @example
 * ```ts
 * acknowledge((order: Order) => effects(["HINCRBY", "totals", order.customer, order.total]));
 * ```
 */
export function effects(...commands: readonly Effect[]): Effects {
  return new Effects(commands);
}

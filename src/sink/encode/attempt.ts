import { type PlainTag, type RxaddError, rxaddError } from "../../errors/rxaddError.ts";
import { messageOf } from "../../errors/thrown.ts";

/** What is asked of an event, and what it is when that fails. */
const failures = {
  encode: "EventNotEncodable",
  fields: "EventNotEncodable",
  content: "EventNotEncodable",
  id: "EventNotEncodable",
  stream: "StreamUnresolved",
  // Of an event whose place is not known nobody could say what is safe, so it cannot be set aside either.
  position: "PositionInvalid",
  transaction: "PositionInvalid",
} as const satisfies Readonly<Record<string, PlainTag>>;

/** What is wrong with an event, said where nobody knows which one it is. */
export class EventFailure extends Error {
  readonly #tag: PlainTag;

  constructor(tag: PlainTag, message: string, cause?: unknown) {
    super(message, { cause });
    this.#tag = tag;
  }

  /** The same of the event with this name. */
  of(name: string): RxaddError {
    return rxaddError(this.#tag, `event ${name}: ${this.message}`, this.cause);
  }
}

/** Runs a function of the user's; what it throws becomes an {@link EventFailure}. */
export function attempt<E, A>(what: keyof typeof failures, event: E, ask: (event: E) => A): A {
  try {
    return ask(event);
  } catch (error) {
    throw new EventFailure(failures[what], `${what} failed: ${messageOf(error)}`, error);
  }
}

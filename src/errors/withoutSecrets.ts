import { codeOf, messageOf } from "./thrown.ts";

/** Passwords in URIs, and the arguments that Redis repeats of a command that it does not know. */
export function withoutSecrets(message: string): string {
  return message
    .replace(/, with args beginning with: .*$/s, "")
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s:@/?#]*):\S*@/gi, "$1:***@");
}

/**
 * What is kept of a cause: its name, message and code, and where it was thrown.
 *
 * ioredis' errors carry the command with its arguments, passwords and events among them, Node's carry the URI that does
 * not parse, and a user's own whatever it has found.
 */
export function causeWithoutSecrets(cause: unknown): Error {
  const kept: Error & { code?: string } = new Error(withoutSecrets(messageOf(cause)));
  if (!(cause instanceof Error)) return kept;
  const code = codeOf(cause);
  if (code !== undefined) kept.code = code;
  // As an Error has them: seen in what is printed, not listed among what it carries.
  const name = { value: String(cause.name), configurable: true, writable: true };
  const stack = { value: stackOf(cause, kept), configurable: true, writable: true };
  return Object.defineProperties(kept, { name, stack });
}

/** The lines that say where it was thrown, below what is kept of the message. */
function stackOf(cause: Error, kept: Error): string {
  const frames = String(cause.stack)
    .split("\n")
    .filter((line) => /^ {4}at \S/.test(line));
  return [`${String(cause.name)}: ${kept.message}`, ...frames].join("\n");
}

import { InvalidArgumentError } from "commander";

/** Reads a flag's number. */
export function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("expected a whole number from 0 on");
}

/** Reads a flag's port. */
export function portOf(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError("expected a port from 0 to 65535; 0 takes a free one");
}

import { hostname } from "node:os";
import { threadId } from "node:worker_threads";

const taken = new Set<string>();

/** A consumer's name while it is used. */
export interface ConsumerName {
  readonly name: string;
  readonly release: () => void;
}

/**
 * Host and process, and what tells this subscription from others of the process that run now: the same names come back
 * in a process that subscribes again, so that it finds what it had.
 */
export function consumerName(): ConsumerName {
  const process_ = `${hostname()}:${process.pid}${threadId === 0 ? "" : `:t${threadId}`}`;
  let name = process_;
  for (let number = 2; taken.has(name); number += 1) name = `${process_}:${number}`;
  taken.add(name);
  return { name, release: () => taken.delete(name) };
}

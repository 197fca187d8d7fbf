import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What a server sent for a scenario, and the events that version 6f6d3ff made of it, each as its JSON. */
export interface Recording {
  readonly name: string;
  /** Messages of pgoutput, base64. */
  readonly messages: readonly string[];
  readonly events: readonly string[];
}

const file = fileURLToPath(new URL("fixtures/corpus.ndjson", import.meta.url));

export function recordedCorpus(): readonly Recording[] {
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line));
}

export function recordCorpus(recordings: readonly Recording[]): void {
  writeFileSync(file, recordings.map((recording) => `${JSON.stringify(recording)}\n`).join(""));
}

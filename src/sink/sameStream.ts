import { isLeft } from "fp-ts/lib/Either.js";
import { isStreamTemplate } from "../options/codecs.ts";
import { parseRedisUri } from "../redis/connect/address.ts";
import { partitionAt } from "./encode/partition.ts";
import { streamTemplate } from "./encode/template.ts";

/** Where a sink writes. */
interface Target {
  readonly stream: string;
  readonly partitions?: number | undefined;
  readonly deadLetters?: { readonly stream: string } | undefined;
}

/** What is wrong with dead letters that would land among the events; undefined: nothing, as far as the options tell. */
export function deadLettersProblem({ deadLetters, ...target }: Target): string | undefined {
  if (deadLetters === undefined || isStreamTemplate(target.stream) || !writesTo(target, deadLetters.stream))
    return undefined;
  return `found ${deadLetters.stream} as the stream of the dead letters and of the events, expected different ones`;
}

/** What is wrong with a stream that a sink would copy into itself; undefined: nothing, as far as the settings tell. */
export function copyProblem(
  source: { readonly uri: string; readonly stream: string },
  sink: Target & { readonly id: string; readonly uri: string },
): string | undefined {
  if (!isSameDatabase(source.uri, sink.uri) || !writesTo(sink, source.stream)) return undefined;
  return `found ${source.stream} as the stream of the source, and where sink ${sink.id} writes, on one server: it would copy its own entries for ever; expected different ones`;
}

/** What is wrong with sinks that write each event to one stream twice; undefined: nothing, as far as the settings tell. */
export function doublesProblem(
  sinks: readonly (Target & { readonly id: string; readonly uri: string })[],
): string | undefined {
  for (const [index, one] of sinks.entries()) {
    const other = sinks
      .slice(0, index)
      .find(({ stream, uri }) => stream === one.stream && isSameDatabase(uri, one.uri));
    if (other !== undefined)
      return `sinks: found ${one.stream} as the stream of ${other.id} and of ${one.id}, on one server: each event would be there twice; expected different ones`;
  }
  return undefined;
}

/** Whether a sink that copies this stream writes to it as well. */
function writesTo({ stream, partitions, deadLetters }: Target, copied: string): boolean {
  if (deadLetters?.stream === copied) return true;
  const filled = isStreamTemplate(stream) ? filledFor(stream, copied) : stream;
  if (filled === undefined || partitions === undefined) return filled === copied;
  const [, index] = /:\{(\d{1,15})\}$/.exec(copied) ?? [];
  return index !== undefined && Number(index) < partitions && partitionAt(filled, Number(index)) === copied;
}

/** Where an entry of a stream goes; undefined: its template takes more of an event than an entry has. */
function filledFor(template: string, copied: string): string | undefined {
  try {
    return streamTemplate(template)({ stream: copied, entryId: "0-0" });
  } catch {
    return undefined;
  }
}

/** A database, and the nodes by which it is reached. */
interface Place {
  readonly within: string;
  readonly nodes: readonly string[];
}

/** Whether both lead to one database; another name of a host is taken for another host. */
export function isSameDatabase(a: string, b: string): boolean {
  if (a === b) return true;
  const [one, other] = [placeOf(a), placeOf(b)];
  return (
    one !== undefined && one.within === other?.within && one.nodes.some((node) => other.nodes.includes(node))
  );
}

function placeOf(uri: string): Place | undefined {
  const parsed = parseRedisUri(uri);
  if (isLeft(parsed)) return undefined;
  const address = parsed.right;
  if (address.kind === "server") {
    if (!URL.canParse(uri)) return undefined;
    const { hostname, port, pathname, searchParams } = new URL(uri);
    const db = pathname.slice(1) || searchParams.get("db") || "0";
    return { within: `database ${db}`, nodes: [nodeOf(hostname, port)] };
  }
  return {
    within: address.kind === "sentinel" ? `${address.master} ${address.db}` : "database 0",
    nodes: address.nodes.map(({ host, port }) => nodeOf(host, `${port}`)),
  };
}

function nodeOf(host: string, port: string): string {
  const isHere = /^(|localhost|127(\.\d+){3}|\[?::1\]?)$/i.test(host);
  return `${isHere ? "localhost" : host.toLowerCase()}:${port || 6379}`;
}

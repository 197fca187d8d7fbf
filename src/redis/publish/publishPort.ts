import type { Observable } from "rxjs";
import { type Bulk, wordsIn } from "../wire/bulk.ts";
import type { BatchNumber, Stored, Verdict } from "./protocol.ts";

/** The keys of a lane; in a Cluster they stand in one slot. */
export interface LaneKeys {
  /** Its only stream, but for dead letters; undefined: each entry has one of its own. */
  readonly stream: string | undefined;
  /** The producer state, a hash with the fields epoch, sequence, owner, position, ahead and entry. */
  readonly state: string;
  /** A hash that says that there has been a producer state; undefined: nobody asks for that. */
  readonly mark: string | undefined;
  /** Where the lane's dead letters go; undefined: it has none. */
  readonly deadLetters: string | undefined;
  /**
   * So long after its newest batch, in ms, the state expires, which is that of one subscription and is made by its first
   * batch; undefined: it stays, and is made by opening it.
   */
  readonly expiresMs?: number | undefined;
}

/** Where a lane stands in Redis once it is opened. */
export interface OpenedState extends Omit<Stored, "owner"> {
  /** Entries of others that were there before a first run. */
  readonly foreignEntries: number;
}

/** What opening a lane found. */
export type OpenReply =
  | ({ readonly reply: "opened" } & OpenedState)
  /** There has been a producer state, which is gone, while the streams stand or may stand. */
  | { readonly reply: "gone" };

/** What XADD gets: one word is the value of the field `event`, several are all names and values, alternating. */
export interface EntryContent extends Bulk {
  readonly stream: string;
  /** The size of its names and values, without the name `event`. */
  readonly bytes: number;
}

/** All names and values of an entry, alternating. */
export function wordsOf(content: EntryContent): readonly Buffer[] {
  const words = wordsIn(content);
  return content.words === 1 ? [Buffer.from("event"), ...words] : words;
}

/** A batch as it is sent: the same each time that it is sent again. */
export interface NumberedBatch extends BatchNumber, Pick<Stored, "position" | "ahead"> {
  readonly entries: readonly EntryContent[];
}

/** What Redis found when it compared a batch with the producer state. */
export type PublishReply =
  /** The batch is in the stream, from now or from before. */
  | {
      readonly reply: "published";
      readonly entryId: string;
      /** Somebody had deleted the stream: it begins anew with this batch. */
      readonly isRenewed: boolean;
    }
  /** Another writer has opened the lane since. */
  | { readonly reply: "fenced"; readonly epoch: number }
  /** The batches between `sequence` and this one are not there. */
  | { readonly reply: "gap"; readonly sequence: number; readonly position: string }
  /** Redis has forgotten that this writer opened the lane. */
  | { readonly reply: "outdated"; readonly position: string }
  /** The producer state is gone. */
  | { readonly reply: "missing"; readonly streamStands: boolean };

/** What is told of a verdict by which a batch is not there. */
export function findingOf(
  verdict: Exclude<Verdict, "known" | "next">,
  at: Stored | undefined,
  streamStands: boolean,
): Exclude<PublishReply, { readonly reply: "published" }> {
  const { epoch = 0, sequence = 0, position = "" } = at ?? {};
  switch (verdict) {
    case "missing":
      return { reply: "missing", streamStands };
    case "fenced":
      return { reply: "fenced", epoch };
    case "outdated":
      return { reply: "outdated", position };
    case "gap":
      return { reply: "gap", sequence, position };
  }
}

/** Port to Redis: the two steps of the publish protocol. Each yields once, or fails with an RxaddError. */
export interface PublishPort {
  /**
   * Raises the lane's epoch for `owner`, which fences every other writer, and says where the lane
   * stands. Asked again by the same owner it raises nothing. With `adopt` it begins where a state has been and is gone.
   */
  readonly open: (keys: LaneKeys, owner: string, adopt: boolean) => Observable<OpenReply>;
  /** Appends a batch and stores its sequence and position in one atomic step, or does neither. */
  readonly publish: (keys: LaneKeys, batch: NumberedBatch) => Observable<PublishReply>;
  /**
   * Waits until the lane up to a batch is durable, without sending it again; undefined: it is at once.
   * `stream` is one that the batch has an entry in; empty: it has none.
   */
  readonly confirm?: (keys: LaneKeys, upTo: BatchNumber, stream: string) => Observable<PublishReply>;
}

/**
 * The keys of a lane with one stream. The braces put the state into the stream's own cluster slot; a
 * stream key with a hash tag of its own keeps that tag.
 */
export function laneKeys(stream: string, sinkId: string, deadLetters?: string): LaneKeys {
  return { stream, ...stateKeys(keyBeside(stream, sinkId)), deadLetters };
}

/** A key of our own that stands in the stream's slot. A brace without its like in a key rules that out: a Cluster then says so. */
export function keyBeside(stream: string, name: string): string {
  const hasTag = /\{[^}]+\}/.test(stream);
  return `${hasTag ? stream : `{${stream}}`}:rxadd:${name}`;
}

/** The keys of a lane whose streams are computed, on a server that has all keys. */
export function computedLaneKeys(sinkId: string, deadLetters?: string): LaneKeys {
  return { stream: undefined, ...stateKeys(`rxadd:${sinkId}`), deadLetters };
}

/** How long the state of one subscription stays after its newest batch: a day, in ms. */
export const runExpiresMs = 86_400_000;

/** The keys of a lane that one subscription has for itself, beside those of its sink. */
export function runKeys({ state, ...keys }: LaneKeys, run: string): LaneKeys {
  return { ...keys, state: `${state}:run:${run}`, mark: undefined, expiresMs: runExpiresMs };
}

function stateKeys(state: string): Pick<LaneKeys, "state" | "mark"> {
  return { state, mark: `${state}:mark` };
}

/** The streams that entries go to, each once; the lane's own one first. */
export function streamsOf({ stream }: LaneKeys, entries: readonly EntryContent[]): readonly string[] {
  return [...new Set([...(stream === undefined ? [] : [stream]), ...entries.map(({ stream }) => stream)])];
}

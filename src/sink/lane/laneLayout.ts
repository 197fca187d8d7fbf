import { isStreamTemplate } from "../../options/codecs.ts";
import { computedLaneKeys, type LaneKeys, laneKeys } from "../../redis/publish/publishPort.ts";

/**
 * Which lanes a sink has: one for all that it writes, or, where its streams depend on the events and stand on several
 * servers, one for each, the stream of the dead letters among them.
 */
export type LaneLayout =
  | { readonly kind: "one"; readonly keys: LaneKeys }
  | {
      readonly kind: "perStream";
      readonly keysOf: (stream: string) => LaneKeys;
      /** Where the hash stands that says how far all of them are together. */
      readonly ledgerKey: string;
    };

/** What a sink's options say of its streams. */
export interface Streams {
  readonly id: string;
  /** A text, a template or a function of the event. */
  readonly stream: unknown;
  readonly partitions?: number | undefined;
  readonly deadLetters?: { readonly stream: string } | undefined;
}

/** Says which lanes a sink has. */
export function laneLayout({ id, stream, partitions, deadLetters }: Streams, isCluster: boolean): LaneLayout {
  const isFixed = typeof stream === "string" && !isStreamTemplate(stream) && partitions === undefined;
  if (isFixed) return { kind: "one", keys: laneKeys(stream, id, deadLetters?.stream) };
  const computed = computedLaneKeys(id, deadLetters?.stream);
  return isCluster
    ? { kind: "perStream", keysOf: (stream) => laneKeys(stream, id), ledgerKey: computed.state }
    : { kind: "one", keys: computed };
}

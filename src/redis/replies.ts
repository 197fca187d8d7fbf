import { isLeft } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import { PathReporter } from "io-ts/lib/PathReporter.js";
import { sinkError } from "../sinkError.ts";
import type { OpenedState, PublishReply } from "./publisher.ts";

const Opened = t.tuple([t.number, t.number, t.string, t.string, t.number]);

const Finding = t.union([
  t.tuple([t.literal("renewed"), t.string]),
  t.tuple([t.literal("fenced"), t.number]),
  t.tuple([t.literal("gap"), t.number, t.string]),
  t.tuple([t.literal("outdated"), t.string]),
  t.tuple([t.literal("missing"), t.number]),
]);

function decodeOrFail<A>(codec: t.Type<A>, reply: unknown): A {
  const decoded = codec.decode(reply);
  if (isLeft(decoded)) {
    throw sinkError(
      "Refused",
      `Redis gave an answer that is not of the publish protocol: ${PathReporter.report(decoded).join("; ")}. Is it a Redis or a Valkey, without a proxy that rewrites answers?`,
    );
  }
  return decoded.right;
}

/** Reads what `openScript` returns. */
export function openedStateOf(reply: unknown): OpenedState {
  const [epoch, sequence, position, entryId, foreignEntries] = decodeOrFail(Opened, reply);
  return { epoch, sequence, position, entryId, foreignEntries };
}

/** Reads what `publishScript` returns. */
export function publishReplyOf(reply: unknown): PublishReply {
  if (typeof reply === "string") return { reply: "published", entryId: reply, isRenewed: false };
  const finding = decodeOrFail(Finding, reply);
  switch (finding[0]) {
    case "renewed":
      return { reply: "published", entryId: finding[1], isRenewed: true };
    case "fenced":
      return { reply: "fenced", epoch: finding[1] };
    case "gap":
      return { reply: "gap", sequence: finding[1], position: finding[2] };
    case "outdated":
      return { reply: "outdated", position: finding[1] };
    case "missing":
      return { reply: "missing", streamStands: finding[1] === 1 };
  }
}

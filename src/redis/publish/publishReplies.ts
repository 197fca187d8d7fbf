import { isLeft } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import { PathReporter } from "io-ts/lib/PathReporter.js";
import { rxaddError } from "../../errors/rxaddError.ts";
import type { OpenReply, PublishReply } from "./publishPort.ts";

/** A number, also on a connection that is told to make texts of them. */
const integer = new t.Type<number, number, unknown>(
  "a number",
  t.number.is,
  (value, context) => {
    const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
    return t.number.validate(number, context);
  },
  t.identity,
);

const Opened = t.union([
  t.tuple([t.literal("gone")]),
  t.tuple([t.tuple([integer, integer, integer]), t.tuple([t.string, t.string, t.string])]),
]);

const Finding = t.union([
  t.tuple([t.literal("renewed"), t.string]),
  t.tuple([t.literal("fenced"), integer]),
  t.tuple([t.literal("gap"), integer, t.string]),
  t.tuple([t.literal("outdated"), t.string]),
  t.tuple([t.literal("missing"), integer]),
]);

function decodeOrFail<A>(codec: t.Type<A>, reply: unknown): A {
  const decoded = codec.decode(reply);
  if (isLeft(decoded)) {
    throw rxaddError(
      "Refused",
      `Redis gave an answer that is not of the publish protocol: ${PathReporter.report(decoded).join("; ")}. Is it a Redis or a Valkey, without a proxy that rewrites answers?`,
    );
  }
  return decoded.right;
}

/** Reads what `openScript` returns. */
export function openReplyOf(reply: unknown): OpenReply {
  const found = decodeOrFail(Opened, reply);
  if (found.length === 1) return { reply: "gone" };
  const [[epoch, sequence, foreignEntries], [position, ahead, entryId]] = found;
  return { reply: "opened", epoch, sequence, position, ahead, entryId, foreignEntries };
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

import { isLeft } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import { PathReporter } from "io-ts/lib/PathReporter.js";
import { rxaddError } from "../../errors/rxaddError.ts";

/** Reads what Redis answered to a command, or fails with what is not as expected. */
export function decodeReply<A>(command: string, codec: t.Type<A, unknown>): (reply: unknown) => A {
  return (reply) => {
    const decoded = codec.decode(reply);
    if (isLeft(decoded)) {
      const found = PathReporter.report(decoded).join("; ");
      throw rxaddError("Refused", `Redis gave an answer to ${command} that is not its own: ${found}`);
    }
    return decoded.right;
  };
}

/** A number that Redis 6 does not tell, and Redis 7 only while it knows. */
export const numberIfKnown = t.union([t.number, t.null, t.undefined]);

/** Names and values, which come alternating, or, where the caller's connection wants that, as an object. */
export function fieldsOf<Shape extends t.Props>(shape: Shape): t.Type<t.TypeOfProps<Shape>, unknown> {
  const fields = t.type(shape);
  return new t.Type(
    fields.name,
    fields.is,
    (reply, context) => fields.validate(toObject(reply), context),
    t.identity,
  );
}

function toObject(reply: unknown): unknown {
  if (!Array.isArray(reply)) return reply;
  const pairs = reply.flatMap((name, index) => (index % 2 === 0 ? [[name, reply[index + 1]]] : []));
  return Object.fromEntries(pairs);
}

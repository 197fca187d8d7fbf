import { defer, finalize, from, type Observable } from "rxjs";
import { text } from "../options/codecs.ts";
import { decodeOptions } from "../options/decodeOptions.ts";
import { optional, required, Settings } from "../options/settings.ts";
import type { RedisServer } from "../redis/connect/anotherClient.ts";
import type { Link } from "../redis/connect/link.ts";
import { openLink } from "../redis/connect/openLink.ts";
import { ownConnection } from "../redis/connect/ownConnection.ts";
import { type ReachOptions, reachSettings, redisUri } from "../redis/connect/serverOptions.ts";
import { script } from "../redis/wire/script.ts";

/** A stream and how to reach it. Durations are ms. */
export type StreamOptions = RedisServer &
  ReachOptions & {
    /** The stream key. */
    readonly stream: string;
  };

/** A stream on an open connection. Every error is an RxaddError. */
export interface OpenStream {
  readonly key: string;
  /** Sends a command, once for each subscription. */
  readonly call: (command: string, ...args: readonly (string | number)[]) => Observable<unknown>;
  /** Makes a Lua script callable, with the stream as its first key. */
  readonly script: (
    lua: string,
  ) => (args: readonly string[], moreKeys?: readonly string[]) => Observable<unknown>;
}

const settings = new Settings({
  uri: optional(redisUri, "Redis connection URI"),
  connection: optional(ownConnection, "One's own connection, in place of a URI"),
  stream: required(text, "Redis stream key"),
  ...reachSettings,
}).inProgram();

/**
 * Asks Redis about a stream, for each subscription anew: on a connection of its own, which it closes
 * at the end, or on the caller's. It does not try again: an RxaddError says why it failed.
 */
export function onStream<A>(
  at: StreamOptions,
  question: (stream: OpenStream) => Observable<A>,
): Observable<A> {
  return defer(() => {
    const { stream, uri: _, ...reach } = decodeOptions(settings, "a stream", at, []);
    const open = openLink(at, { ...reach, name: "rxadd:streams" });
    return defer(() => question(openStream(stream, open))).pipe(finalize(() => open.unsubscribe()));
  });
}

function openStream(key: string, { client, call }: Link): OpenStream {
  return {
    key,
    // ioredis 5 finds the keys of a command, and puts the caller's keyPrefix before them, only where its name is in small letters.
    call: (command, ...args) => call(() => from(client.call(command.toLowerCase(), ...args))),
    script: (lua) => {
      const run = script(client, lua);
      return (args, moreKeys = []) => call(() => from(run([key, ...moreKeys], args)));
    },
  };
}

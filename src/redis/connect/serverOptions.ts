import { either } from "fp-ts";
import { pipe } from "fp-ts/lib/function.js";
import * as t from "io-ts";
import { redactUri } from "../../errors/redactUri.ts";
import { flag, seconds, secret, text, timeout, uriOf } from "../../options/codecs.ts";
import { Described } from "../../options/described.ts";
import { optional, Settings, withDefault } from "../../options/settings.ts";
import { parseRedisUri, redisSchemes } from "./address.ts";
import type { SentinelOptions } from "./client.ts";
import type { TlsOptions } from "./tls.ts";

/** How a connection is made, and when it is given up. Durations are ms. */
export interface ReachOptions {
  /** Encrypts, also where the URI does not say `rediss`. */
  readonly tls?: TlsOptions | undefined;
  /** Credentials of the Sentinels themselves; those in the URI are the master's. */
  readonly sentinel?: SentinelOptions | undefined;
  /** How long a connection may take to open. Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** A connection that owes an answer this long is given up and opened again. Default 10,000. */
  readonly sendTimeoutMs?: number;
}

const redisScheme = uriOf(...redisSchemes);
export const redisUri: t.Type<string, unknown> = new Described(
  redisScheme.schema,
  redisScheme.name,
  redisScheme.is,
  (value, context) =>
    either.chain((uri: string) =>
      pipe(
        parseRedisUri(uri),
        either.fold(
          (expectation) => t.failure(uri, context, `found ${redactUri(uri)}, expected ${expectation}`),
          () => t.success(uri),
        ),
      ),
    )(redisScheme.validate(value, context)),
);

/** The settings of {@link ReachOptions}. */
export const reachSettings = {
  tls: optional(
    new Settings({
      ca: optional(text, "Who may have signed the server's certificate: a PEM file, or its text"),
      cert: optional(text, "The client's certificate: a PEM file, or its text"),
      key: optional(secret, "The key of `cert`: a PEM file, or its text"),
      server_name: optional(text, "The name that the server's certificate must have, if not the host"),
      accept_any_certificate: withDefault(
        flag,
        false,
        "Do not verify the server: no protection from who is between",
      ),
    }),
    "Encrypts, also where the URI does not say `rediss`",
  ),
  sentinel: optional(
    new Settings({
      username: optional(text, "User at the Sentinels themselves"),
      password: optional(secret, "Password at the Sentinels themselves"),
    }),
    "Credentials of the Sentinels; those in the URI are the master's",
  ),
  connect_timeout_secs: {
    ...withDefault(seconds, 10_000, "How long a connection may take to open"),
    inProgram: timeout,
  },
  send_timeout_secs: {
    ...withDefault(seconds, 10_000, "How long Redis may owe an answer"),
    inProgram: timeout,
  },
};

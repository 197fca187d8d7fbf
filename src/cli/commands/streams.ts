import type { Command } from "commander";
import { wholeNumber } from "../flags/numbers.ts";
import { type StreamsFlags, streamAtFrom } from "../flags/streamFlags.ts";
import type { ExitWith } from "../terminal/exitCode.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { create, destroy, type GroupFlags, removeOne, set } from "./groupVerbs.ts";
import { type RedriveFlags, redriveLetters } from "./redriveVerb.ts";
import {
  type ClaimFlags,
  claim,
  groups,
  info,
  length,
  type PendingFlags,
  pending,
  remove,
  type TrimFlags,
  trim,
} from "./streamVerbs.ts";

/** Adds `rxadd streams …`, which looks after a stream and its groups by hand. */
export function addStreamsCommand(program: Command, terminal: Terminal, exitWith: ExitWith): void {
  const at = (flags: StreamsFlags) => streamAtFrom(flags, terminal.env);
  const streams = program
    .command("streams")
    .description("look after a stream and its consumer groups: a table for people, or JSON lines");

  const verb = (name: string, description: string, parent = streams) =>
    parent
      .command(name)
      .description(description)
      .option("--uri <uri>", "where Redis is: redis://… or rediss://…; default: the environment's REDIS_URI")
      .option("--stream <key>", "the stream key")
      .option("--config <file>", "YAML with a sink: how to reach Redis, and the stream")
      .option("--json", "print each row as one JSON line");

  verb("length", "how many entries the stream has").action((flags: StreamsFlags) =>
    exitWith(() => length(terminal, at(flags), flags)),
  );

  verb("info", "the stream's length, groups and entry IDs").action((flags: StreamsFlags) =>
    exitWith(() => info(terminal, at(flags), flags)),
  );

  verb("groups", "the consumer groups, and how far each is").action((flags: StreamsFlags) =>
    exitWith(() => groups(terminal, at(flags), flags)),
  );

  verb("pending", "what was delivered and is not acknowledged: for each group, or entry by entry")
    .option("--group <name>", "only this group")
    .option("--details", "entry by entry; also by --consumer, --idle or --count")
    .option("--consumer <name>", "only this consumer's")
    .option("--idle <ms>", "only what was delivered last at least so long ago", wholeNumber)
    .option("--count <n>", "the oldest n entries (default: 100)", wholeNumber)
    .action((flags: PendingFlags) => exitWith(() => pending(terminal, at(flags), flags)));

  verb("claim", "hand stuck entries to another consumer of their group")
    .argument("[entry-id...]", "only these; default: all that are idle for so long")
    .requiredOption("--group <name>", "the group")
    .requiredOption("--consumer <name>", "who gets them")
    .requiredOption("--idle <ms>", "those delivered last at least so long ago", wholeNumber)
    .action((entryIds: string[], flags: ClaimFlags) =>
      exitWith(() => claim(terminal, at(flags), entryIds, flags)),
    );

  verb("trim", "remove the oldest entries")
    .option("--max-length <n>", "keep the newest n entries", wholeNumber)
    .option("--min-id <entry-id>", "keep the entries from this one on")
    .option("--acknowledged", "keep what a group has not read or not acknowledged")
    .option("--approximate", "remove only whole nodes of the stream, which is cheaper")
    .action((flags: TrimFlags) => exitWith(() => trim(terminal, at(flags), flags)));

  verb("delete", "delete entries, also those that are not acknowledged yet")
    .argument("<entry-id...>", "the entries")
    .action((entryIds: string[], flags: StreamsFlags) =>
      exitWith(() => remove(terminal, at(flags), entryIds, flags)),
    );

  verb(
    "redrive",
    "put dead letters of groups back into their streams; --stream names that of the dead letters",
  )
    .option("--reason <text>", "only those whose reason has this in it")
    .option("--group <name>", "only those of this group")
    .option("--min-id <entry-id>", "from this dead letter on")
    .option("--max-id <entry-id>", "up to this dead letter")
    .option("--count <n>", "at most n of them", wholeNumber)
    .option("--dry-run", "only tell which")
    .action((flags: RedriveFlags) => exitWith(() => redriveLetters(terminal, at(flags), flags)));

  const group = streams.command("group").description("make, move and destroy consumer groups");
  const groupVerb = (name: string, description: string) =>
    verb(name, description, group).requiredOption("--group <name>", "the group");

  groupVerb("create", "make a group, and the stream if need be")
    .option(
      "--start <place>",
      "begin after this entry ID, with $ at what is new, or with a time (default: 0-0, all)",
    )
    .action((flags: GroupFlags) => exitWith(() => create(terminal, at(flags), flags)));

  groupVerb("set", "let a group go on from another place; what is pending stays")
    .requiredOption(
      "--to <place>",
      "after this entry ID, 0-0 for all, $ for what is new, or a time: 2026-01-31T12:00Z",
    )
    .action((flags: GroupFlags & { readonly to: string }) => exitWith(() => set(terminal, at(flags), flags)));

  groupVerb("destroy", "destroy a group, with all that is pending in it").action((flags: GroupFlags) =>
    exitWith(() => destroy(terminal, at(flags), flags)),
  );

  groupVerb("remove-consumer", "take a consumer out of its group, unless entries are pending for it")
    .requiredOption("--consumer <name>", "the consumer")
    .action((flags: GroupFlags & { readonly consumer: string }) =>
      exitWith(() => removeOne(terminal, at(flags), flags)),
    );
}

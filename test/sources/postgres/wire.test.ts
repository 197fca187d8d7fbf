import { afterAll, describe, expect, it } from "vitest";
import { type Recording, recordCorpus } from "./corpus.ts";
import { postgresBed } from "./postgresBed.ts";
import { referenceEvents } from "./reference/referenceEvents.ts";
import { scenarios } from "./scenarios.ts";

const bed = postgresBed();
const recordings: Recording[] = [];

/** As the source sets them. */
const settings =
  "SET datestyle = ISO; SET timezone = 'UTC'; SET intervalstyle = postgres; SET bytea_output = hex; SET extra_float_digits = 1; SET lc_monetary = 'C'";

async function sentMessages(): Promise<readonly Buffer[]> {
  await bed.query(settings);
  const rows = await bed.query(
    `SELECT data FROM pg_logical_slot_peek_binary_changes('${bed.slot()}', NULL, NULL, 'proto_version', '1',
       'publication_names', '${bed.publication()}', 'messages', 'false')`,
  );
  return rows.map(({ data }) => data);
}

// RECORD_CORPUS=1 keeps what this server sends, for the tests that need none.
afterAll(() => {
  if (process.env.RECORD_CORPUS === "1") recordCorpus(recordings);
});

describe("the events of what a server sends", () => {
  it.each(scenarios)(
    "are byte for byte those of version 6f6d3ff: $name",
    async ({ name, tables, changes }) => {
      await bed.query(tables);
      await bed.openSlot();
      for (const change of changes) await bed.query(change);
      const messages = await sentMessages();
      const events = referenceEvents(messages, "postgres").map((event) => JSON.stringify(event));

      const read = await bed.read(events.length);

      expect(read.map((event) => JSON.stringify(event))).toEqual(events);
      recordings.push({ name, messages: messages.map((message) => message.toString("base64")), events });
    },
  );
});

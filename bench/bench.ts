import { parseArgs } from "node:util";
import { startRedis } from "../test/kit/servers/redisServer.ts";
import { type Row, tableOf } from "./row.ts";
import type { Section } from "./section.ts";
import { consume } from "./sections/consume.ts";
import { handling } from "./sections/handling.ts";
import { latency } from "./sections/latency.ts";
import { memory } from "./sections/memory.ts";
import { postgres, snapshot } from "./sections/postgres.ts";
import { flame, profiled } from "./sections/profile.ts";
import { batchSizes, eventSizes, roundTrip, rowSizes, streams, tls, windows } from "./sections/sweeps.ts";
import { rows as rowEvents, throughput } from "./sections/throughput.ts";

const sections: Readonly<Record<string, Section>> = {
  throughput,
  rows: rowEvents,
  consume,
  handling,
  postgres,
  snapshot,
  latency,
  memory,
  profile: profiled,
  flame,
  "event-size": eventSizes,
  "row-size": rowSizes,
  "batch-size": batchSizes,
  window: windows,
  streams,
  "round-trip": roundTrip,
  tls,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    events: { type: "string", default: "400000" },
    rounds: { type: "string", default: "5" },
  },
});

const names = positionals.length === 0 ? Object.keys(sections) : positionals;
for (const name of names) {
  const section = sections[name];
  if (section === undefined) {
    console.error(`found section ${name}, expected one of ${Object.keys(sections).join(", ")}`);
    process.exit(2);
  }
  const server = process.env.REDIS_URI === undefined ? await startRedis() : undefined;
  const uri = server?.uri ?? process.env.REDIS_URI ?? "";
  const rows: Row[] = [];
  for await (const row of section({ uri, events: Number(values.events), rounds: Number(values.rounds) })) {
    rows.push(row);
    if (values.json) console.log(JSON.stringify(row));
  }
  if (!values.json) console.log(`\n## ${name}\n\n${tableOf(rows)}`);
  await server?.stop();
}

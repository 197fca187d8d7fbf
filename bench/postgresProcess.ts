import { redisSink, replicate } from "rxadd";
import { postgresChanges } from "rxadd/sources/postgres";
import { filter, firstValueFrom, scan } from "rxjs";

// The program of the sections `postgres` and `snapshot`: brings the changes of a slot, or the rows that are there, into a
// stream, and says what that took.
const [connectionString = "", slot = "", uri = "", stream = "", ...numbers] = process.argv.slice(2);
const [rows = 0, connections = 0] = numbers.map(Number);
const snapshot = connections > 0 ? "initial" : "never";

/** What it took for all rows. */
export interface Drained {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
}

let startMs = 0;
let startCpu = process.cpuUsage();
const source = postgresChanges({
  connectionString,
  slot,
  snapshot,
  snapshotConnections: Math.max(1, connections),
  // The slot stands before the first run: the changes are made first.
  acceptHole: snapshot === "never",
  opened: {
    next: () => {
      startMs = performance.now();
      startCpu = process.cpuUsage();
      process.send?.("opened");
    },
  },
});

await firstValueFrom(
  replicate({ source, sink: redisSink({ id: "bench", uri, stream }) }).pipe(
    scan((published, { events }) => published + events, 0),
    filter((published) => published >= rows),
  ),
);
const { user, system } = process.cpuUsage(startCpu);
process.send?.({
  seconds: (performance.now() - startMs) / 1000,
  cpuSeconds: (user + system) / 1e6,
  peakMiB: process.resourceUsage().maxRSS / 1024,
} satisfies Drained);

import { contenders } from "../contenders/index.ts";
import { ioredisPipeline } from "../contenders/ioredis.ts";
import { type Order, race, usual } from "../race.ts";
import { type Row, rounded } from "../row.ts";
import type { Settings } from "../section.ts";

/** Every way a user could publish, beside the limits of the server and of Node. */
async function* all(section: string, what: Pick<Order, "kind" | "bytes">, { uri, events, rounds }: Settings) {
  const results = await race({ contenders, order: { ...usual, ...what, uri, count: events }, rounds });
  const base = results.find(({ name }) => name === ioredisPipeline.name)?.eventsPerSecond ?? Number.NaN;
  for (const { name, eventsPerSecond, spread, clientUs, serverUs, peakMiB } of results) {
    const own = (figure: number) => (Number.isNaN(figure) ? undefined : figure);
    yield {
      section,
      name,
      "events/s": Math.round(eventsPerSecond),
      ratio: rounded(eventsPerSecond / base),
      spread: spread.map((rate) => rounded(rate / base)).join("–"),
      "client µs/event": own(rounded(clientUs)),
      "server µs/event": rounded(serverUs),
      "peak MiB": own(Math.round(peakMiB)),
    };
  }
}

/** Of events that are text already. */
export function throughput(settings: Settings): AsyncGenerator<Row> {
  return all("throughput", { kind: "ready", bytes: 220 }, settings);
}

/** Of rows as a source hands them over: each contender makes their JSON. */
export function rows(settings: Settings): AsyncGenerator<Row> {
  return all("rows", { kind: "row", bytes: 385 }, settings);
}

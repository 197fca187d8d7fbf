import { Session } from "node:inspector/promises";
import { eventsOf } from "./benchEvent.ts";
import { rxaddScript } from "./contenders/rxadd.ts";

// The program of the section `profile`: publishes under V8's sampling profiler, once it is warm.
const [uri = "", stream = "", given = ""] = process.argv.slice(2);
const [count, bytes] = [Number(given), 220];
const events = eventsOf(count, bytes);
const publish = (stream: string) =>
  rxaddScript.publish({
    ...{ uri, stream, count, bytes, kind: "ready", events },
    ...{ batchSize: 500, window: 4, streams: 1 },
  });

await publish(`${stream}.warm`);
const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.setSamplingInterval", { interval: 200 });
await session.post("Profiler.start");
await publish(stream);
const { profile } = await session.post("Profiler.stop");
process.send?.(profile, () => process.exit());

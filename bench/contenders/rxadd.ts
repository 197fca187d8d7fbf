import { type Flow, fromIterable, redisSink } from "rxadd";
import { BehaviorSubject, lastValueFrom } from "rxjs";
import { type BenchEvent, jsonOf } from "../benchEvent.ts";
import { type Contender, streamOf, type Task } from "../contender.ts";

async function publish(task: Task, form: "script" | "multi"): Promise<undefined> {
  const { uri, ca, stream, streams, count, kind, events, batchSize, window } = task;
  const flow = new BehaviorSubject<Flow>("resume");
  const checkpoint = await lastValueFrom(
    fromIterable(events, flow).pipe(
      redisSink<BenchEvent, number>({
        id: stream,
        uri,
        stream: streams === 1 ? stream : ({ position }) => streamOf(task, position),
        flow,
        publish: form,
        window,
        batch: { maxEvents: batchSize },
        // The source pauses at half of it: as much again as the window waits to be sent.
        buffer: { maxEvents: Math.max(20_000, 4 * window * batchSize) },
        ...(kind === "ready" && { event: { encode: jsonOf } }),
        tls: ca === undefined ? undefined : { ca },
      }),
    ),
  );
  if (checkpoint.position !== count) throw new Error(`rxadd ended at ${checkpoint.position}`);
  return undefined;
}

export const rxaddScript: Contender = {
  name: "rxadd",
  publish: (task) => publish(task, "script"),
};

export const rxaddPipeline: Contender = {
  name: "rxadd, publish: multi",
  publish: (task) => publish(task, "multi"),
};

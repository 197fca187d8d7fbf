import { createInterface } from "node:readline";
import { BehaviorSubject, Observable } from "rxjs";
import type { Flow } from "../../../operators/flow.ts";
import { rxadd } from "../../kit/program/cli.ts";
import type { Writer } from "./load.ts";
import { sinkId, stream } from "./writers.ts";

/**
 * The command `rxadd pipe`, in a process of its own that is killed by SIGKILL when it is unsubscribed.
 * A process started again is given the events after the last checkpoint that the one before has printed.
 */
export function rxaddPipe(uri: string): Writer {
  let known: number | undefined;
  return (source) =>
    new Observable((subscriber) => {
      const run = rxadd(["pipe", "--uri", uri, "--stream", stream, "--id", sinkId]);
      const { stdin, stdout } = run.child;
      if (stdin === null || stdout === null) throw new Error("a process without pipes");
      const flow = new BehaviorSubject<Flow>("resume");
      stdin.on("drain", () => flow.next("resume"));
      createInterface({ input: stdout }).on("line", (line) => {
        const position = Number(JSON.parse(line).position);
        known = position;
        subscriber.next(position);
      });
      run.ended.then((code) => {
        if (code === 0) subscriber.complete();
        else subscriber.error(new Error(`rxadd pipe ended with ${code}:\n${run.stderr()}`));
      });
      subscriber.add(() => run.child.kill("SIGKILL"));
      subscriber.add(
        source(known, flow).subscribe({
          next: (event) => {
            if (!stdin.write(`${JSON.stringify(event)}\n`)) flow.next("pause");
          },
          complete: () => stdin.end(),
        }),
      );
    });
}

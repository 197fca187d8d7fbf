import { Subject } from "rxjs";
import { redisSink } from "../../../src/index.ts";
import type { WriterNews, WriterOrder } from "./writerProcess.ts";

// One of several processes of an app with one configuration. Its events stand nowhere: what it says comes once.
const { uri, stream, by, events, writers, publish }: WriterOrder = JSON.parse(process.argv[2] ?? "");
const perTick = 50;
const said$ = new Subject<{ readonly by: string; readonly n: number }>();
let said = 0;
let safe = 0;
let lost = 0;

function tell(end?: WriterNews["end"]): void {
  process.send?.({ said, safe, lost, ...(end !== undefined && { end }) } satisfies WriterNews);
}

said$
  .pipe(
    redisSink({
      ...{ id: "domain", uri, stream, publish, retry: { initialMs: 20, maxMs: 200 } },
      ...(writers !== undefined && { writers }),
      status: {
        next: (status) => {
          if (status.state === "lost") lost += status.events;
        },
      },
    }),
  )
  .subscribe({
    next: (checkpoint) => {
      safe += checkpoint.events;
    },
    error: (error: Error) => tell(`${error}`),
    complete: () => tell("completed"),
  });

const speaking = setInterval(() => {
  for (let i = 0; i < perTick && said < events; i += 1) {
    said += 1;
    said$.next({ by, n: said });
  }
  tell();
  if (said < events) return;
  clearInterval(speaking);
  said$.complete();
}, 10);

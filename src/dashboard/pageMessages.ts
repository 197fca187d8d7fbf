import {
  auditTime,
  BehaviorSubject,
  combineLatest,
  concat,
  defer,
  map,
  merge,
  type Observable,
  of,
  share,
  skip,
  type Unsubscribable,
} from "rxjs";
import type { Watchable } from "../telemetry/watchable.ts";
import { backgroundScheduler } from "./backgroundScheduler.ts";
import { type History, recorded } from "./history.ts";
import type { Messages } from "./messages.ts";
import { type WatchOptions, watchSink } from "./watchSink.ts";

/** One message, as it is sent. */
export interface FeedMessage {
  readonly name: keyof Messages;
  readonly text: string;
}

/** Watches sinks, and tells every page. */
export interface Feed extends Unsubscribable {
  /** For one page; while there is one, Redis is asked about the streams. */
  readonly messages$: Observable<FeedMessage>;
}

/** What several sinks tell within this time is told together. */
const togetherMs = 10;

function message<Name extends keyof Messages>(name: Name, data: Messages[Name]): FeedMessage {
  return { name, text: `event: ${name}\ndata: ${JSON.stringify(data)}\n\n` };
}

/** Begins to watch, and to keep what the charts show, until it is unsubscribed. */
export function openFeed(sinks: readonly Watchable[], options: WatchOptions): Feed {
  const scheduler = options.scheduler ?? backgroundScheduler;
  const watches = sinks.map((sink) => ({ sink: sink.id, ...watchSink(sink, { ...options, scheduler }) }));
  let history: History = {};
  const told = new BehaviorSubject<FeedMessage>(message("sinks", []));

  const watching = combineLatest(watches.map(({ snapshot$ }) => snapshot$))
    .pipe(auditTime(togetherMs, scheduler))
    .subscribe((statuses) => {
      history = recorded(history, statuses);
      told.next(message("sinks", statuses));
    });

  const redis$ = merge(
    ...watches.map(({ sink, redisFigures$ }) =>
      redisFigures$.pipe(map((figures) => message("redis", { sink, figures }))),
    ),
  ).pipe(share());

  return {
    messages$: merge(
      concat(
        defer(() => of(message("history", history), told.value)),
        told.pipe(skip(1)),
      ),
      redis$,
    ),
    unsubscribe: () => {
      watching.unsubscribe();
      told.complete();
    },
  };
}

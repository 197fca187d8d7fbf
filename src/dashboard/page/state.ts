import type { RedisFigures } from "../../telemetry/redisFigures.ts";
import { type History, recorded } from "../history.ts";
import type { Messages } from "../messages.ts";
import type { SinkSnapshot } from "../sinkSnapshot.ts";

/** What the page hears of: a message, or that the connection is lost. */
export type Update =
  | {
      [Name in keyof Messages]: { readonly name: Name; readonly data: Messages[Name] };
    }[keyof Messages]
  | { readonly name: "lost" };

/** All that the page shows. */
export interface PageState {
  readonly connection: "connecting" | "live" | "lost";
  readonly sinks: readonly SinkSnapshot[];
  /** By the sink's id. */
  readonly redis: Readonly<Record<string, RedisFigures>>;
  readonly history: History;
}

export const initialState: PageState = { connection: "connecting", sinks: [], redis: {}, history: {} };

/** What an update makes of it; `isReading`: the entries stay as they are. */
export function updated(state: PageState, update: Update, isReading: boolean): PageState {
  switch (update.name) {
    case "lost":
      return { ...state, connection: "lost" };
    case "history":
      return { ...state, connection: "live", history: continued(state.history, update.data) };
    case "sinks":
      return {
        ...state,
        connection: "live",
        sinks: update.data,
        history: recorded(state.history, update.data),
      };
    case "redis": {
      const { sink, figures } = update.data;
      const shown = isReading ? withEntriesOf(state.redis[sink], figures) : figures;
      return { ...state, redis: { ...state.redis, [sink]: shown } };
    }
  }
}

function withEntriesOf(before: RedisFigures | undefined, figures: RedisFigures): RedisFigures {
  const entriesOf = (stream: string) => before?.streams.find((seen) => seen.stream === stream)?.entries;
  return {
    ...figures,
    streams: figures.streams.map((now) => ({ ...now, entries: entriesOf(now.stream) ?? now.entries })),
  };
}

/** A process that was started again knows nothing of what the page has seen of the one before it. */
function continued(seen: History, told: History): History {
  return Object.fromEntries(
    [...new Set([...Object.keys(seen), ...Object.keys(told)])].map((sink) => {
      const points = told[sink] ?? [];
      const [first] = points;
      const before = (seen[sink] ?? []).filter(({ atMs }) => first === undefined || atMs < first.atMs);
      return [sink, [...before, ...points]];
    }),
  );
}

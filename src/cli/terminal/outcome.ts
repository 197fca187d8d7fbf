import type { SinkObserver } from "../../telemetry/sinkObserver.ts";

/** What became of the events of a command, by what its sinks report. */
export interface Outcome {
  /** Told what the sink of an id reports. */
  readonly of: (sink: string) => Pick<SinkObserver, "published" | "status">;
  /** Such as `2 events published, 1 set aside`; undefined: there were none. */
  readonly text: () => string | undefined;
}

interface Counts {
  published: number;
  setAside: number;
  leftOut: number;
}

/** Begins with nothing. */
export function newOutcome(): Outcome {
  const counts = new Map<string, Counts>();
  return {
    of: (sink) => {
      const count = { published: 0, setAside: 0, leftOut: 0 };
      counts.set(sink, count);
      return {
        published: ({ events }) => {
          count.published += events;
        },
        status: (status) => {
          if (status.state === "deadLetter") count.setAside += 1;
          if (status.state === "replayed") count.leftOut += status.events;
        },
      };
    },
    text: () => {
      const all = [...counts];
      if (all.every(([, { published, setAside, leftOut }]) => published + setAside + leftOut === 0))
        return undefined;
      return all
        .map(([sink, count]) => (all.length > 1 ? `${sink}: ${textOf(count)}` : textOf(count)))
        .join("; ");
    },
  };
}

function textOf({ published, setAside, leftOut }: Counts): string {
  return [
    `${published} ${published === 1 ? "event" : "events"} published`,
    ...(setAside === 0 ? [] : [`${setAside} set aside`]),
    ...(leftOut === 0 ? [] : [`${leftOut} left out, which were in the stream already`]),
  ].join(", ");
}

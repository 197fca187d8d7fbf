import type { Progress } from "./progress.ts";

/** Numbers as people read them. */
export const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Such as `1,200,000 events, 310,000 events/s, 42 % of orders.ndjson, 8 s left`; `of` is the name, if it is to be told. */
export function progressText(progress: Progress, of?: string): string {
  const { events, eventsPerSecond, share, secondsLeft } = progress;
  return [
    `${whole.format(events)} events`,
    `${whole.format(eventsPerSecond)} events/s`,
    ...(share === undefined ? [] : [`${Math.floor(share * 100)} %${of === undefined ? "" : ` of ${of}`}`]),
    ...(secondsLeft === undefined ? [] : [`${durationText(secondsLeft)} left`]),
  ].join(", ");
}

/** The same of several by name, in one line: all events together, and how far each is that knows it; one without a name alone. */
export function togetherText(progress: ReadonlyMap<string, Progress>): string {
  const [[name, first] = [], ...others] = progress;
  if (first === undefined) return "";
  if (others.length === 0) return name ? `${name}: ${progressText(first)}` : progressText(first);
  const all = [...progress.values()];
  const sum = (of: (one: Progress) => number) => all.reduce((total, one) => total + of(one), 0);
  const events = sum((one) => one.events);
  const eventsPerSecond = sum((one) => one.eventsPerSecond);
  const shares = [...progress].flatMap(([of, { share }]) =>
    share === undefined ? [] : `${of} ${Math.floor(share * 100)} %`,
  );
  return [
    progressText({ events, eventsPerSecond, share: undefined, secondsLeft: undefined }),
    ...shares,
  ].join(", ");
}

/** Such as `8 s`, `3 min` or `2 h`. */
export function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

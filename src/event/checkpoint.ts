/**
 * Says that every event up to `position` is safe: Redis has acknowledged it. It never goes back within a subscription.
 *
 * @typeParam P - the source's position
 */
export interface Checkpoint<P> {
  /** The id of the sink. */
  readonly sink: string;
  /** The stream key of the last event; the only one, unless the stream is computed from the event. */
  readonly stream: string;
  /**
   * Up to where in its source nothing is missing: where the last event stands, or in the middle of a transaction whose events
   * share a position the one before. Undefined when the events carry none, or none is whole yet.
   */
  readonly position: P | undefined;
  /** The number of the batch within its lane, counted in Redis from the first run on; of one of many writers from 1 in each run. */
  readonly sequence: number;
  /** How many events became safe since the checkpoint before this one, replayed ones included, and none that was dropped. */
  readonly events: number;
  /** How many of `events` were in the stream already, and were not published again. */
  readonly replayed: number;
  /** The ID of the newest entry of the batch. */
  readonly entryId: string;
}

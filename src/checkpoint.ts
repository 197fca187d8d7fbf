/**
 * Says that every event up to `position` is safe: Redis has acknowledged it.
 *
 * @typeParam P - the source's position
 */
export interface Checkpoint<P> {
  /** The id of the sink. */
  readonly sink: string;
  /** The stream key of the last event; the only one, unless the stream is computed from the event. */
  readonly stream: string;
  /** Where the last event stands in its source; undefined when the events carry no position. */
  readonly position: P | undefined;
  /** The number of the batch within its lane, counted in Redis from the first run on. */
  readonly sequence: number;
  /** How many events became safe since the checkpoint before this one, replayed ones included. */
  readonly events: number;
  /** The ID of the newest entry of the batch. */
  readonly entryId: string;
}

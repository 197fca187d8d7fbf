import type { Option } from "fp-ts/lib/Option.js";
import type { Observable } from "rxjs";
import type { Flow } from "../operators/flow.ts";

/**
 * Events from a given position on: a source that can be opened again where a sink says.
 *
 * Called with `none` it starts at its beginning, or, as nothing has been acknowledged yet, where it keeps its own mark: once it
 * has been told of a checkpoint, `none` says that Redis has lost all, and a source that cannot begin again fails. Called
 * with a position it goes on strictly after it, or fails if it has forgotten that. `flow` asks it to pause and to resume; a source that
 * cannot pause ignores it. Subscribing opens the source, unsubscribing closes it.
 */
export interface Source<T, P> {
  (from: Option<P>, flow: Observable<Flow>): Observable<T>;
  /** Told of each checkpoint: the source may forget everything up to there. */
  readonly acknowledge?: (position: P) => void;
}

import { render } from "lit-html";
import { animationFrameScheduler, auditTime, combineLatest, scan, startWith } from "rxjs";
import { defineLiveChart } from "./liveChart.ts";
import { serverMessages } from "./serverMessages.ts";
import { initialState, updated } from "./state.ts";
import { shade$, theme$ } from "./theme.ts";
import { pageView } from "./view.ts";

defineLiveChart();

/** Somebody reads an entry: the list must not move away under them. */
const isReading = () => document.querySelector("details[open]") !== null;

const state$ = serverMessages("events").pipe(
  scan((state, update) => updated(state, update, isReading()), initialState),
  startWith(initialState),
);

combineLatest([state$, theme$])
  .pipe(auditTime(0, animationFrameScheduler))
  .subscribe(([state, theme]) => render(pageView(state, theme), document.body));

shade$().subscribe((shade) => {
  document.documentElement.dataset.theme = shade;
});

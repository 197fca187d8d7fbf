import {
  BehaviorSubject,
  combineLatest,
  distinctUntilChanged,
  fromEvent,
  map,
  type Observable,
  startWith,
} from "rxjs";

/** What the user has chosen; `auto`: what the system says. */
export type Theme = "auto" | "light" | "dark";

const themes = ["auto", "light", "dark"] as const satisfies readonly Theme[];
const stored = "rxadd-theme";

/** The user's choice, kept by the browser. */
export const theme$ = new BehaviorSubject<Theme>(
  themes.find((theme) => theme === localStorage.getItem(stored)) ?? "auto",
);

/** Goes on to the next one. */
export function nextTheme(): void {
  const next = themes[(themes.indexOf(theme$.value) + 1) % themes.length] ?? "auto";
  localStorage.setItem(stored, next);
  theme$.next(next);
}

/** What it comes to. */
export function shade$(): Observable<"light" | "dark"> {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark$ = fromEvent(system, "change").pipe(
    startWith(undefined),
    map(() => system.matches),
  );
  return combineLatest([theme$, isDark$]).pipe(
    map(([theme, isDark]) => (theme === "auto" ? (isDark ? "dark" : "light") : theme)),
    distinctUntilChanged(),
  );
}

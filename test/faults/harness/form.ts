/** How long the faults are injected: `short` in `npm test`, `long` in `npm run faults`. */
export const form: "short" | "long" = process.env.RXADD_FAULTS === "long" ? "long" : "short";

/** Random schedules start from it; set `RXADD_SEED` to run one again. */
export const seed = Number(process.env.RXADD_SEED ?? Date.now() % 1_000_000);

/**
 * How long a model waits for what has to come, in ms, before it counts as stuck. A shorter one, by
 * `RXADD_PATIENCE_MS`, makes a history that gets stuck short sooner.
 */
export const stuckMs = Number(process.env.RXADD_PATIENCE_MS ?? 10_000);

/** How long a test waits for what has to come, in ms: much longer than it takes on a busy machine. */
export const patienceMs = 30_000;

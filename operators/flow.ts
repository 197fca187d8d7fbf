/** What a full buffer says to its source, and an emptied one. */
export type Flow = "pause" | "resume";

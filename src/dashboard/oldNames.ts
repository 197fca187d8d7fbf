// What `rxadd/dashboard` has until 1.0 by old names.
export type { SinkSnapshot as SinkStatus } from "./sinkSnapshot.ts";

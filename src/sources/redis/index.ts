export type { StreamSourceOptions } from "../../reader/readerOptions.ts";
export { entryCopies, entryPositions, type SourceEntry, streamSource } from "./streamSource.ts";

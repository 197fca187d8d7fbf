import { keyBeside } from "../publish/publishPort.ts";

/** The keys of a group beside a stream. */
export function groupKeys(stream: string, group: string) {
  return {
    /** Of the events that it has processed. */
    marks: keyBeside(stream, `${group}:processed`),
    /** For how long each of its consumers may be silent. */
    consumers: keyBeside(stream, `${group}:consumers`),
    /** What came of the last batch that a consumer has settled. */
    memoryOf: (consumer: string) => keyBeside(stream, `${group}:settled:${consumer}`),
  };
}

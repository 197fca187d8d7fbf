import { StringDecoder } from "node:string_decoder";
import { Observable, type OperatorFunction } from "rxjs";

/**
 * Splits chunks of UTF-8 text into lines, without their line ends.
 *
 * A last line that has no line end counts, also when the source fails after it: an error comes out
 * behind the whole lines before it. Memory: the longest line.
 */
export function lines(): OperatorFunction<Buffer, string> {
  return (chunks$) =>
    new Observable((subscriber) => {
      const decoder = new StringDecoder("utf8");
      let rest = "";

      function emit(line: string): void {
        subscriber.next(line.endsWith("\r") ? line.slice(0, -1) : line);
      }

      return chunks$.subscribe({
        next: (chunk) => {
          const text = rest + decoder.write(chunk);
          let start = 0;
          for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
            emit(text.slice(start, end));
            start = end + 1;
          }
          rest = text.slice(start);
        },
        error: (error) => subscriber.error(error),
        complete: () => {
          rest += decoder.end();
          if (rest !== "") emit(rest);
          subscriber.complete();
        },
      });
    });
}

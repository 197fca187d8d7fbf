/** A name or a value: text, or the bytes where they are no text in UTF-8. */
export type Word = string | Buffer;

/** An entry of a stream. */
export interface StreamEntry<E> {
  readonly stream: string;
  readonly entryId: string;
  /** By their names, as text; of a name that repeats, the last. `content` has them byte for byte. */
  readonly fields: Readonly<Record<string, string>>;
  /** What `XADD` was given, in its order, byte for byte, as bytes where it is no text; names and values alternate. */
  readonly content: readonly Word[];
  /** What the entry was decoded to. */
  readonly event: E;
}

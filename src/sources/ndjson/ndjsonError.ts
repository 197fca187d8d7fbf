/** Input that cannot be published. What came before it is. Its message quotes nothing of the input but positions. */
export class NdjsonError extends Error {
  override readonly name = "NdjsonError";
  readonly blames = "input";
}

/** An error that the user mends in the configuration or the input: nothing has to change on a server. */
export interface BlamesInput extends Error {
  readonly blames: "input";
}

/** Tells them by what they say of themselves: who asks needs none of the modules that throw them. */
export function blamesInput(error: unknown): error is BlamesInput {
  return error instanceof Error && "blames" in error && error.blames === "input";
}

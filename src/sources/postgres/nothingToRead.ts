/** What is wrong with a list of tables that is empty; undefined: nothing. */
export function nothingToReadProblem({
  tables,
  messages,
}: {
  readonly tables?: readonly string[] | undefined;
  readonly messages?: readonly string[] | undefined;
}): string | undefined {
  if (tables?.length !== 0 || (messages !== undefined && messages.length > 0)) return undefined;
  return "found an empty list of tables and no messages, expected one table or more, or messages";
}

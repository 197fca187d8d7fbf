import * as t from "io-ts";

/** What a JSON Schema says of a value. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A codec that can say in a JSON Schema what it expects. */
export class Described<A> extends t.Type<A, unknown, unknown> {
  readonly schema: JsonSchema;

  /** @param validate - default: what it is, it decodes to */
  constructor(
    schema: JsonSchema,
    name: string,
    is: t.Is<A>,
    validate: t.Validate<unknown, A> = (value, context) =>
      is(value) ? t.success(value) : t.failure(value, context),
  ) {
    super(name, is, validate, t.identity);
    this.schema = schema;
  }

  /** Whether no text is right: one that is there may be a secret at the wrong place, which no message shows. */
  get refusesText(): boolean {
    const { type } = this.schema;
    return type !== undefined && type !== "string";
  }
}

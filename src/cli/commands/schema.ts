import { configSettings } from "../../config/config.ts";
import { schemaOf } from "../../config/jsonSchema.ts";

/** The JSON Schema of a configuration file, for editors. */
export function configSchema(): string {
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "rxadd",
    description: "A pipeline of rxadd: a source and its sinks",
    ...schemaOf(configSettings),
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

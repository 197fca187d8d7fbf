import { configSettings } from "../../config/config.ts";
import { deltaForgeSettings, wrapperNames } from "../../config/deltaForge.ts";
import { schemaOf } from "../../config/jsonSchema.ts";

/** The JSON Schema of a configuration file, for editors: of each of its documents. */
export function configSchema(): string {
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "rxadd",
    description: "Pipelines of rxadd, each a source and its sinks",
    if: { type: "array", minItems: 1 },
    // biome-ignore lint/suspicious/noThenProperty: the word of JSON Schema
    then: { items: { $ref: "#/$defs/pipeline" } },
    else: { $ref: "#/$defs/pipeline" },
    $defs: {
      pipeline: {
        if: { anyOf: wrapperNames.map((name) => ({ required: [name] })) },
        // biome-ignore lint/suspicious/noThenProperty: the word of JSON Schema
        then: { $ref: "#/$defs/deltaforge" },
        else: { $ref: "#/$defs/own" },
      },
      own: { description: "A pipeline in the words of rxadd", ...schemaOf(configSettings) },
      deltaforge: { description: "A pipeline in the words of DeltaForge", ...schemaOf(deltaForgeSettings) },
    },
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

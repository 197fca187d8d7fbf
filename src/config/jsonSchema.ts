import type * as t from "io-ts";
import { Described, fromEnvironment, type JsonSchema, OneOrMore } from "./codecs.ts";
import { Kinds } from "./kinds.ts";
import { type Setting, Settings } from "./settings.ts";

/** What a codec expects, as a JSON Schema of draft 2020-12. */
export function schemaOf(codec: t.Decoder<unknown, unknown>): JsonSchema {
  if (codec instanceof Described) return codec.schema;
  if (codec instanceof OneOrMore) return { type: "array", items: schemaOf(codec.item), minItems: 1 };
  if (codec instanceof Kinds) return kindsSchema(codec.configs);
  if (codec instanceof Settings) return settingsSchema(codec.shape, codec.together);
  throw new TypeError("found a codec that no JSON Schema is known of: make it a Described one");
}

function kindsSchema(configs: Readonly<Record<string, t.Decoder<unknown, unknown>>>): JsonSchema {
  const kinds = Object.entries(configs).map(([type, config]) =>
    kindSchema({ const: type }, schemaOf(config)),
  );
  return { oneOf: [...kinds, kindSchema(fromEnvironment, { type: "object" })] };
}

function kindSchema(type: JsonSchema, config: JsonSchema): JsonSchema {
  return {
    type: "object",
    properties: { type, config },
    required: ["type", "config"],
    additionalProperties: false,
  };
}

function settingsSchema(shape: Readonly<Record<string, Setting<unknown>>>, together: JsonSchema): JsonSchema {
  const settings = Object.entries(shape);
  return {
    type: "object",
    properties: Object.fromEntries(settings.map(([name, setting]) => [name, settingSchema(name, setting)])),
    required: settings.filter(([, { isOptional }]) => !isOptional).map(([name]) => name),
    additionalProperties: false,
    ...together,
  };
}

function settingSchema(name: string, { codec, meaning, fallback }: Setting<unknown>): JsonSchema {
  // Groups show the defaults of their parts; JSON has no infinity.
  const hasDefault =
    fallback !== undefined && typeof fallback !== "object" && fallback !== Number.POSITIVE_INFINITY;
  return {
    ...schemaOf(codec),
    description: meaning,
    ...(hasDefault && { default: name.endsWith("_secs") ? Number(fallback) / 1000 : fallback }),
  };
}

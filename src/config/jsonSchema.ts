import type * as t from "io-ts";
import { fromEnvironment, OneOrMore } from "../options/codecs.ts";
import { Described, type JsonSchema } from "../options/described.ts";
import { type Setting, Settings, spellingInMs } from "../options/settings.ts";
import { Kinds } from "./kinds.ts";

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
  const twice = settings.flatMap(([name, setting]) => {
    const inMs = spellingInMs(name, setting);
    return inMs === undefined ? [] : [{ not: { required: [name, inMs.name] } }];
  });
  return {
    type: "object",
    properties: Object.fromEntries(settings.flatMap(([name, setting]) => spellingSchemas(name, setting))),
    required: settings.filter(([, { isOptional }]) => !isOptional).map(([name]) => name),
    additionalProperties: false,
    ...(twice.length > 0 && { allOf: twice }),
    ...together,
  };
}

/** Of each name that a setting has. */
function spellingSchemas(name: string, setting: Setting<unknown>): readonly [string, JsonSchema][] {
  const { codec, meaning, fallback } = setting;
  // Groups show the defaults of their parts; JSON has no infinity.
  const hasDefault =
    fallback !== undefined && typeof fallback !== "object" && fallback !== Number.POSITIVE_INFINITY;
  const inMs = spellingInMs(name, setting);
  const standard = inMs === undefined ? fallback : Number(fallback) / 1000;
  const usual = { ...schemaOf(codec), description: meaning, ...(hasDefault && { default: standard }) };
  if (inMs === undefined) return [[name, usual]];
  const other = {
    ...schemaOf(inMs.codec),
    description: `${meaning}, in ms`,
    ...(hasDefault && { default: fallback }),
  };
  return [
    [name, usual],
    [inMs.name, other],
  ];
}

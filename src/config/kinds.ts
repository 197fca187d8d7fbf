import * as t from "io-ts";
import { oneOf } from "../options/codecs.ts";
import { required, Settings } from "../options/settings.ts";

type Decoders = Readonly<Record<string, t.Decoder<unknown, unknown>>>;
type Chosen<K extends Decoders> = {
  readonly [Name in keyof K & string]: {
    readonly type: Name;
    readonly config: K[Name] extends t.Decoder<unknown, infer A> ? A : never;
  };
}[keyof K & string];

/** A codec of an object with a `type` and the `config` of that type. */
export class Kinds<K extends Decoders> extends t.Type<Chosen<K>, unknown, unknown> {
  /** By type: what `config` may hold. */
  readonly configs: K;

  constructor(configs: K) {
    const type = oneOf(...Object.keys(configs));
    super(
      `an object with type: ${type.name}, and config`,
      // Never asked: configuration is only ever decoded.
      (_value): _value is Chosen<K> => false,
      (value, context) => {
        const name = typeof value === "object" && value !== null && "type" in value ? value.type : undefined;
        // Other names, such as constructor, are known to every object.
        const config = typeof name === "string" && Object.hasOwn(configs, name) ? configs[name] : undefined;
        const entry = new Settings({
          type: required(type, "The kind"),
          config: required(config ?? t.unknown, "Its settings"),
        });
        // The type names one of the kinds, and its config is decoded as such.
        return entry.validate(value, context) as t.Validation<Chosen<K>>;
      },
      t.identity,
    );
    this.configs = configs;
  }
}

import { isLeft, isRight } from "fp-ts/lib/Either.js";
import * as t from "io-ts";
import type { JsonSchema } from "./described.ts";
import { insteadOf } from "./nearest.ts";

/** One setting: its codec, its default, and what the documentation says of it. */
export interface Setting<A> {
  readonly codec: t.Decoder<unknown, A>;
  readonly meaning: string;
  /** Undefined: the setting has to be given, or, if `isOptional`, may be left out. */
  readonly fallback: A | undefined;
  readonly isOptional: boolean;
  /** In a program it is in ms; in a file in seconds, as its name `…_secs` says, or in ms as `…_ms`. */
  readonly inProgram?: t.Decoder<unknown, A>;
}

/** A setting as a file may call it. */
export interface Spelling {
  readonly name: string;
  readonly codec: t.Decoder<unknown, unknown>;
}

/** The name in ms of a setting whose name says seconds; undefined: it has one name only. */
export function spellingInMs(name: string, { inProgram }: Setting<unknown>): Spelling | undefined {
  if (inProgram === undefined || !name.endsWith("_secs")) return undefined;
  return { name: name.replace(/_secs$/, "_ms"), codec: inProgram };
}

/** A setting that has to be given. */
export function required<A>(codec: t.Decoder<unknown, A>, meaning: string): Setting<A> {
  return { codec, meaning, fallback: undefined, isOptional: false };
}

/** A setting with a default. */
export function withDefault<A>(codec: t.Decoder<unknown, A>, fallback: A, meaning: string): Setting<A> {
  return { codec, meaning, fallback, isOptional: true };
}

/** A setting that may be left out. */
export function optional<A>(codec: t.Decoder<unknown, A>, meaning: string): Setting<A | undefined> {
  return { codec, meaning, fallback: undefined, isOptional: true };
}

/** `max_events` in the file is `maxEvents` in the program, and seconds are ms. */
type Camel<Name> = Name extends `${infer Head}_secs`
  ? `${Camel<Head>}Ms`
  : Name extends `${infer Head}_${infer Tail}`
    ? `${Head}${Capitalize<Camel<Tail>>}`
    : Name;

type Shape = Readonly<Record<string, Setting<unknown>>>;
type Decoded<S extends Shape> = {
  readonly [Name in keyof S as Camel<Name> & string]: S[Name] extends Setting<infer A> ? A : never;
};

function camel(name: string): string {
  return name.replace(/_secs$/, "_ms").replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Says what is wrong with settings together; undefined: nothing is. */
type Check<S extends Shape> = (decoded: Decoded<S>) => string | undefined;

/** A codec of an object that has just these settings; every problem in it is reported, unknown keys too. */
export class Settings<S extends Shape> extends t.Type<Decoded<S>, unknown, unknown> {
  readonly shape: S;
  /** What the settings are called in what is decoded. */
  readonly names: readonly string[];
  /** What a JSON Schema says of the settings together. */
  readonly together: JsonSchema;
  readonly #check: Check<S>;

  constructor(
    shape: S,
    check: Check<S> = () => undefined,
    together: JsonSchema = {},
    toName: (name: string) => string = (name) => name,
  ) {
    const names = Object.keys(shape).map(toName);
    super(
      `an object with ${names.join(", ")}`,
      // Never asked: configuration is only ever decoded.
      (_value): _value is Decoded<S> => false,
      (value, context) => {
        if (typeof value !== "object" || value === null || Array.isArray(value))
          return t.failure(value, context);
        const given = new Map<string, unknown>(Object.entries(value));
        const errors: t.Errors = [];
        const decoded: Record<string, unknown> = {};
        for (const [key, setting] of Object.entries(shape)) {
          const usual: Spelling = { name: toName(key), codec: setting.codec };
          const inMs = spellingInMs(usual.name, setting);
          const { name, codec } = inMs !== undefined && given.has(inMs.name) ? inMs : usual;
          const found = given.get(name);
          given.delete(name);
          if (given.delete(usual.name)) {
            const message = `found ${usual.name} as well, expected one of them: they are the same setting`;
            errors.push({ value: found, context: t.appendContext(context, name, codec, found), message });
            continue;
          }
          if (found === undefined && setting.isOptional) {
            if (setting.fallback !== undefined) decoded[camel(key)] = setting.fallback;
            continue;
          }
          const result = codec.validate(found, t.appendContext(context, name, codec, found));
          if (isRight(result)) decoded[camel(key)] = result.right;
          if (isLeft(result)) errors.push(...result.left);
        }
        for (const [name, found] of given) {
          const message = `no such setting${insteadOf(name, names)}`;
          errors.push({ value: found, context: t.appendContext(context, name, t.never, found), message });
        }
        if (errors.length > 0) return t.failures(errors);
        // The loop above has filled in just what Decoded<S> says.
        const settings = decoded as Decoded<S>;
        const problem = check(settings);
        return problem === undefined ? t.success(settings) : t.failure(value, context, problem);
      },
      t.identity,
    );
    this.shape = shape;
    this.names = names;
    this.together = together;
    this.#check = check;
  }

  /** The same settings, called as in a program: `maxEvents`, not `max_events`. */
  inProgram(): Settings<S> {
    const renamed = Object.entries(this.shape).map(([key, setting]) => {
      const { codec, inProgram = codec } = setting;
      return [key, { ...setting, codec: codec instanceof Settings ? codec.inProgram() : inProgram }];
    });
    return new Settings(Object.fromEntries(renamed) as S, this.#check, this.together, camel);
  }
}

/** A group of settings, each of which has a default, and which may be left out as a whole. */
export function group<S extends Shape>(shape: S, meaning: string, check?: Check<S>): Setting<Decoded<S>> {
  const codec = new Settings(shape, check);
  const defaults = codec.decode({});
  if (isLeft(defaults)) throw new TypeError("a group holds settings with defaults only");
  return withDefault(codec, defaults.right, meaning);
}

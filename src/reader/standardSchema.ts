import { kindOf } from "../errors/thrown.ts";
import { type Path, pathText } from "../options/problem.ts";

/** What the schemas of zod, valibot, arktype and others have in common: https://standardschema.dev. */
export interface StandardSchema<E> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    /** What it gives has to be there at once. */
    readonly validate: (value: unknown) => StandardResult<E> | Promise<StandardResult<E>>;
  };
}

type StandardResult<E> =
  | { readonly value: E; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
  /** Not in the standard, but all three have it where it can be told. */
  readonly expected?: unknown;
}

/** Whether it is one; those of arktype are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema<unknown> {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard: unknown = Reflect.get(value, "~standard");
  return typeof standard === "object" && standard !== null && "validate" in standard;
}

/** Where, and what, but neither the value nor the message of an issue: those of valibot and arktype show it. */
export function issueText({ path = [], expected }: StandardIssue, value: unknown): string {
  // A list of arktype makes another one of its kind by `map`.
  const keys: Path = Array.from(path, (part) => {
    const key = typeof part === "object" ? part.key : part;
    return typeof key === "number" ? key : String(key);
  });
  const found = keys.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined),
    value,
  );
  const where = keys.length === 0 ? "" : `${pathText(keys)}: `;
  return `${where}found ${kindOf(found)}, expected ${typeof expected === "string" ? expected : "what its schema says"}`;
}

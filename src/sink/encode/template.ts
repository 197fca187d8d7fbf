import { kindOf } from "../../errors/thrown.ts";
import { readProperty } from "../../event/eventAccess.ts";

function valueAt(event: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, key)
        ? (value as Readonly<Record<string, unknown>>)[key]
        : undefined,
    event,
  );
}

/**
 * Makes a function that fills a template such as `${after.id}` from an event.
 *
 * It throws a TypeError for an event that has no text or number at a path.
 *
 * @param wrongWith - what about a text must not be there; undefined: nothing
 */
export function textTemplate(
  template: string,
  wrongWith?: (value: string, path: string, event: unknown) => string | undefined,
): (event: unknown) => string {
  // Text and paths alternate.
  const parts = template.split(/\$\{([^}]*)\}/);
  return (event) =>
    parts
      .map((part, index) => {
        if (index % 2 === 0) return part;
        const path = part.trim();
        const value = valueAt(event, path.split("."));
        if (typeof value === "number") return `${value}`;
        if (typeof value !== "string" || value === "")
          throw new TypeError(
            `${template}: found ${kindOf(value)} at ${part} of the event, expected a text or a number`,
          );
        const wrong = wrongWith?.(value, path, event);
        if (wrong === undefined) return value;
        throw new TypeError(`${template}: found ${wrong} at ${part} of the event, expected a text without`);
      })
      .join("");
}

/**
 * Makes a function that fills a stream template such as `cdc.${source.table}`. What an event says is a part of the key
 * and no more: a brace, which chooses the slot in a Cluster, has its place in the template.
 */
export const streamTemplate = (template: string): ((event: unknown) => string) =>
  textTemplate(template, (value, path, event) =>
    // The stream of an entry is a key already.
    path === "stream" && typeof readProperty(event, "entryId") === "string"
      ? undefined
      : /[{}]/.test(value)
        ? "a brace"
        : controlIn(value),
  );

/** A control character in a stream key; undefined: it has none. */
export function controlIn(key: string): string | undefined {
  return /\p{Cc}/u.test(key) ? "a control character" : undefined;
}

/** Makes a function that fills a template, or gives a text, for each field. */
export function fieldTemplates(
  templates: Readonly<Record<string, string>>,
): (event: unknown) => Readonly<Record<string, string>> {
  const fills = Object.entries(templates).map(([name, text]) => [name, textTemplate(text)] as const);
  return (event) => Object.fromEntries(fills.map(([name, fill]) => [name, fill(event)]));
}

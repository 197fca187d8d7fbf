import { kindOf } from "../../errors/thrown.ts";

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
 * Makes a function that fills a stream template such as `cdc.${source.table}` from an event.
 *
 * It throws a TypeError for an event that has no text or number at a path.
 */
export function streamTemplate(template: string): (event: unknown) => string {
  // Text and paths alternate.
  const parts = template.split(/\$\{([^}]*)\}/);
  return (event) =>
    parts
      .map((part, index) => {
        if (index % 2 === 0) return part;
        const value = valueAt(event, part.trim().split("."));
        if ((typeof value === "string" && value !== "") || typeof value === "number") return `${value}`;
        throw new TypeError(
          `${template}: found ${kindOf(value)} at ${part} of the event, expected a text or a number`,
        );
      })
      .join("");
}

/** Makes a function that fills a template, or gives a text, for each field. */
export function fieldTemplates(
  templates: Readonly<Record<string, string>>,
): (event: unknown) => Readonly<Record<string, string>> {
  const fills = Object.entries(templates).map(([name, text]) => [name, streamTemplate(text)] as const);
  return (event) => Object.fromEntries(fills.map(([name, fill]) => [name, fill(event)]));
}

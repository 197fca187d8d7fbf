/** Entry points by the name of their report. */
export const entryPoints: Readonly<Record<string, string>>;
export const reportsFolder: string;
/** What an entry point of `dist/` exports, with its types. */
export function reportOf(name: string): string;

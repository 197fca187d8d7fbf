/** Which room stands where: what `src/rooms.json` says. */
export const rooms: Readonly<
  Record<
    string,
    {
      readonly floor: number;
      readonly says: string;
      readonly packages: readonly string[];
      readonly without?: readonly string[];
    }
  >
>;
export function mayImport(room: string, other: string): boolean;
export function importRule(): readonly unknown[];
export const importRuleFile: URL;
/** Puts the rooms into docs/architecture.md. */
export function withHouse(page: string): string;
export const architecturePage: URL;

import * as t from "io-ts";

const comparison = t.keyof({ "=": null, "<>": null, "<": null, "<=": null, ">": null, ">=": null });

/** What a row has to meet: its column compares so with a value, as PostgreSQL's text. */
export const Condition = t.tuple([t.string, comparison, t.string]);
export type Condition = t.TypeOf<typeof Condition>;
export const Conditions = t.readonlyArray(Condition);

import { lastValueFrom } from "rxjs";
import {
  createGroup,
  destroyGroup,
  type GroupPlace,
  removeConsumer,
  type StreamOptions,
  setGroup,
} from "../../admin/index.ts";
import type { StreamsFlags } from "../flags/streamFlags.ts";
import { printResult } from "../terminal/table.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** Which group. */
export interface GroupFlags extends StreamsFlags {
  readonly group: string;
}

/** A time as people and logs write it; an entry ID, `$` or anything else stays text. */
function placeOf(text: string): GroupPlace {
  return /^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(Date.parse(text)) ? new Date(text) : text;
}

/** Makes a group. */
export async function create(
  { out }: Terminal,
  at: StreamOptions,
  { group, start, json = false }: GroupFlags & { readonly start?: string },
): Promise<void> {
  const place = start === undefined ? undefined : placeOf(start);
  const isNew = await lastValueFrom(createGroup(at, { group, start: place }));
  const sentence = isNew ? `${group} is there` : `${group} was there before, and stays as it is`;
  printResult(out, { stream: at.stream, group, isNew: `${isNew}` }, `${at.stream}: ${sentence}`, json);
}

/** Lets a group go on from another place. */
export async function set(
  { out }: Terminal,
  at: StreamOptions,
  { group, to, json = false }: GroupFlags & { readonly to: string },
): Promise<void> {
  const after = await lastValueFrom(setGroup(at, { group, to: placeOf(to) }));
  const sentence = `${group} goes on ${after === "$" ? "with what is new" : `after ${after}`}`;
  printResult(out, { stream: at.stream, group, after }, `${at.stream}: ${sentence}`, json);
}

/** Destroys a group. */
export async function destroy(
  { out }: Terminal,
  at: StreamOptions,
  { group, json = false }: GroupFlags,
): Promise<void> {
  const destroyed = Number(await lastValueFrom(destroyGroup(at, group)));
  const sentence = destroyed === 1 ? `${group} is destroyed` : `there was no group ${group}`;
  printResult(out, { stream: at.stream, group, destroyed }, `${at.stream}: ${sentence}`, json);
}

/** Takes a consumer out of its group. */
export async function removeOne(
  { out }: Terminal,
  at: StreamOptions,
  { group, consumer, json = false }: GroupFlags & { readonly consumer: string },
): Promise<void> {
  const removed = Number(await lastValueFrom(removeConsumer(at, { group, consumer })));
  const sentence =
    removed === 1
      ? `${consumer} is not in ${group} any more`
      : `${consumer} stays in ${group}, as entries are pending for it: hand them to another one with claim`;
  printResult(out, { stream: at.stream, group, consumer, removed }, `${at.stream}: ${sentence}`, json);
}

// Texts and rows that a program gives in the place of files.
import { LowrankError } from "../base/errors.js";
import { messageOf, shownValue } from "../config/index.js";
import {
  type ClassifiedSpec,
  givenRows,
  givenTexts,
  rendererOf,
  type TextSource,
  type Tokenizer,
  valueProblem,
} from "../data/index.js";
import { formOf, givenForm, type RowFormOptions, renderingAs } from "../setup/row-forms.js";
import type { Items, Texts } from "./arguments.js";

export type { Items } from "./arguments.js";

/** What an item is. @param row its number, from 1. @throws LowrankError E_DATA_ROW */
type Read<T> = (item: unknown, name: string, row: number) => T;

/** Reads a text, as it is or in a column. */
function textIn(column = "text"): Read<string> {
  return (item, name, row) => {
    const isRow = typeof item === "object" && item !== null;
    const text: unknown = isRow ? (item as Record<string, unknown>)[column] : item;
    if (typeof text === "string") return text;
    const found = `text ${row} is ${shownValue(text)}`;
    throw new LowrankError("E_DATA_ROW", `${name}: ${found}, expected a string or { ${column}: string }.`, name);
  };
}

const noTexts = (name: string) => new LowrankError("E_DATA_EMPTY", `${name}: there are no texts.`, name);

/** The exception of the caller's iterable. */
function stopped(error: unknown, name: string, row: number): LowrankError {
  if (error instanceof LowrankError) return error;
  const message = `${name}: reading stopped after ${row} texts: ${messageOf(error)}.`;
  return new LowrankError("E_DATA_ROW", message, name, { cause: error });
}

/** Each item, checked as it comes. @throws LowrankError E_DATA_ROW, E_DATA_EMPTY */
async function* itemsOf<T>(
  items: Iterable<unknown> | AsyncIterable<unknown>,
  name: string,
  read: Read<T>,
): AsyncGenerator<T> {
  let row = 0;
  try {
    for await (const item of items) {
      row++;
      yield read(item, name, row);
    }
  } catch (error) {
    throw stopped(error, name, row);
  }
  if (row === 0) throw noTexts(name);
}

/**
 * A list is checked here and now, other texts as they come.
 * @param name of the argument, for errors
 * @throws LowrankError E_DATA_ROW, E_DATA_EMPTY
 */
export function textSource(texts: Texts, name: string): TextSource {
  if (Array.isArray(texts)) checkList(texts, name, textIn());
  return givenTexts(itemsOf(texts, name, textIn()));
}

/** @throws LowrankError E_DATA_ROW, E_DATA_EMPTY */
function checkList(list: unknown[], name: string, read: Read<unknown>): void {
  if (list.length === 0) throw noTexts(name);
  let row = 0;
  try {
    for (const item of list) read(item, name, ++row);
  } catch (error) {
    throw stopped(error, name, row);
  }
}

/** Texts or rows that a program gives, and the argument's name. */
export interface GivenItems {
  items: Items;
  name: string;
}

/** The form of an item; a text where it has none. @throws LowrankError E_DATA_ROW where code of the item throws */
function itemForm(item: unknown, name: string) {
  if (typeof item !== "object" || item === null) return "text";
  try {
    return formOf((column) => columnOf(item, column));
  } catch (error) {
    throw stopped(error, name, 1);
  }
}

/** @throws LowrankError E_DATA_ROW, E_DATA_EMPTY for a list of texts that is wrong */
export function givenItems(items: Items, name: string, o: RowFormOptions): GivenItems {
  if (Array.isArray(items) && (givenForm(o) ?? itemForm(items[0], name)) === "text")
    checkList(items, name, textIn(o.text_column));
  return { items, name };
}

const columnOf = (item: unknown, column: string): unknown => (item as Record<string, unknown> | null)?.[column] ?? null;

/** The values of a row's columns, which are copied. @throws LowrankError E_DATA_ROW */
function rowOf(columns: readonly { name: string; isOptional?: boolean }[]): Read<unknown[]> {
  return (item, name, row) => {
    const wrong = (why: string) => new LowrankError("E_DATA_ROW", `${name}: row ${row} ${why}`, name);
    if (typeof item !== "object" || item === null) throw wrong(`is ${shownValue(item)}, expected an object.`);
    return columns.map(({ name: column, isOptional }) => {
      const value = columnOf(item, column);
      if (value === null && !isOptional) throw wrong(`has no ${column}, as the rows before it have.`);
      let copy: unknown;
      try {
        copy = JSON.parse(JSON.stringify(value));
      } catch (error) {
        throw wrong(`has a ${column} that JSON cannot hold: ${messageOf(error)}.`);
      }
      const problem = valueProblem(copy);
      if (problem !== undefined) throw wrong(`has a ${column} that ${problem}`);
      return copy;
    });
  };
}

/** Rows with labels, which are read twice. */
export interface GivenRows {
  rows: unknown[];
  name: string;
}

/** All of some rows, in memory. @throws LowrankError E_DATA_ROW, E_DATA_EMPTY */
export async function collected({ items, name }: GivenItems): Promise<GivenRows> {
  const rows: unknown[] = [];
  for await (const row of itemsOf(items, name, (item) => item)) rows.push(row);
  return { rows, name };
}

/** The texts of rows with labels. */
export function labelledSource({ rows, name }: GivenRows, render: ClassifiedSpec): TextSource {
  return givenRows(itemsOf(rows, name, rowOf(rendererOf(render).columns)), render);
}

/** An iterable whose first item has been taken from its iterator, from that item on. */
async function* whole<T>(first: IteratorResult<T>, rest: Iterator<T> | AsyncIterator<T>): AsyncGenerator<T> {
  try {
    for (let next = first; !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/**
 * The source of texts or rows of a program. The first item tells the form, unless an option does.
 * @param note told the form of rows
 * @throws LowrankError E_DATA_ROW, E_DATA_EMPTY, E_USAGE, E_CHAT_TEMPLATE
 */
export async function itemSource(
  { items, name }: GivenItems,
  o: RowFormOptions,
  tokenizer: Pick<Tokenizer, "file">,
  note: (line: string) => void,
): Promise<TextSource> {
  const { [Symbol.asyncIterator]: later, [Symbol.iterator]: now } = items as AsyncIterable<unknown> & Iterable<unknown>;
  const iterator = (later ?? now).call(items) as Iterator<unknown> | AsyncIterator<unknown>;
  let first: IteratorResult<unknown>;
  try {
    first = await iterator.next();
  } catch (error) {
    throw stopped(error, name, 0);
  }
  const all = whole(first, iterator);
  const isPlain = typeof first.value !== "object" || first.value === null;
  const form = first.done || isPlain ? "text" : (givenForm(o) ?? itemForm(first.value, name));
  if (form === "text") return givenTexts(itemsOf(all, name, textIn(o.text_column)));
  const render = renderingAs(form, name, o, tokenizer, note);
  return givenRows(itemsOf(all, name, rowOf(rendererOf(render).columns)), render);
}

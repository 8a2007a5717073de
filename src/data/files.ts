// The files that a list of files, folders and patterns stands for.
import { readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { LowrankError } from "../errors.js";
import { readError } from "../system-errors.js";
import { isDataFile, knownExtensions } from "./formats/table.js";

const WILDCARD = /[*?]/;
const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Follows links. Undefined where there is nothing. */
function stat(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** A folder's entries. What is hidden is there only where the pattern itself begins with a dot. */
function entries(folder: string, hidden = false) {
  return readdirSync(folder === "" ? "." : folder, { withFileTypes: true }).filter(
    ({ name }) => name.startsWith(".") === hidden,
  );
}

/** The pattern of one name: * is any text, ? is one character. */
function nameTest(pattern: string): RegExp {
  const source = pattern.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/(?:\\\*)+/g, ".*");
  return new RegExp(`^${source.replaceAll("\\?", ".")}$`, "su");
}

/** The folder itself and all below it. Links are not followed: they may lead back. */
function* foldersBelow(folder: string): Generator<string> {
  yield folder;
  for (const entry of entries(folder)) {
    if (entry.isDirectory()) yield* foldersBelow(join(folder, entry.name));
  }
}

/** Files whose path fits the parts of a pattern, from a folder on ("" is the current one). */
function* matches(folder: string, [part, ...rest]: string[]): Generator<string> {
  if (part === undefined) return;
  if (part === "**") {
    // A pattern's last ** takes the files at every depth.
    for (const below of foldersBelow(folder)) yield* matches(below, rest.length > 0 ? rest : ["*"]);
    return;
  }
  let names = [part];
  if (WILDCARD.test(part)) {
    const test = nameTest(part);
    const found = entries(folder, part.startsWith(".")).map(({ name }) => name);
    names = found.filter((name) => test.test(name));
  }
  for (const name of names) {
    const path = folder === "" ? name : join(folder, name);
    const found = stat(path);
    if (rest.length === 0 ? found?.isFile() : found?.isDirectory())
      yield* rest.length === 0 ? [path] : matches(path, rest);
  }
}

/** The known files among some, sorted. @throws LowrankError where there is none */
function known(paths: string[], what: string, name: string): string[] {
  const files = paths.filter(isDataFile);
  if (files.length > 0) return [...new Set(files)].sort(byName);
  const among = paths.length === 0 ? "" : ` among the ${paths.length} found, such as ${paths[0]}`;
  throw new LowrankError(
    "E_DATA_FILES",
    `${what}${among}; expected at least one file with one of ${knownExtensions()}.`,
    name,
  );
}

function expand(name: string): string[] {
  const found = stat(name);
  if (found?.isDirectory()) {
    const paths = entries(name).map((entry) => join(name, entry.name));
    const files = paths.filter((path) => stat(path)?.isFile());
    return known(files, `Folder ${name} holds no data file`, name);
  }
  if (found !== undefined || !WILDCARD.test(name)) return [name];
  const parts = name.split("/").filter((part) => part !== "");
  const paths = [...matches(name.startsWith("/") ? "/" : "", parts)];
  return known(paths, `No data file matches ${name}`, name);
}

/**
 * The files that names stand for, in the order of the names: a file is itself; a folder is every file of a known format
 * in it, sorted by name; * and ? match within a name, ** folders at any depth. What is hidden is left out, unless named.
 * @throws LowrankError E_DATA_FILES, E_FILE
 */
export function dataFiles(names: string[]): string[] {
  const from = new Map<string, string>();
  for (const name of names) {
    let files: string[];
    try {
      files = expand(name);
    } catch (error) {
      throw error instanceof LowrankError ? error : readError(error, name, "Data file");
    }
    for (const file of files) {
      const before = from.get(file);
      if (before !== undefined) {
        const message = `Data file ${file} is named twice, by ${before} and by ${name}. Leave one out.`;
        throw new LowrankError("E_DATA_FILES", message, file);
      }
      from.set(file, name);
    }
  }
  return [...from.keys()];
}

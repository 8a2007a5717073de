// The files that a list of files, folders and patterns stands for.
import { type Stats, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { LowrankError } from "../base/errors.js";
import { readError } from "../base/system-errors.js";
import { type DataFile, partOf } from "./data-file.js";
import { type FolderFiles, folderFiles, holdsResults, isAside, type Wanted } from "./folder.js";
import { type Entry, entriesOf } from "./folder-entries.js";
import { dataExtension, knownExtensions } from "./formats/format-table.js";

const WILDCARD = /[*?]/;
const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Follows links. Undefined where there is nothing. */
function stat(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** The pattern of one name: * is any text, ? is one character. */
function nameTest(pattern: string): RegExp {
  const source = pattern.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/(?:\\\*)+/g, ".*");
  return new RegExp(`^${source.replaceAll("\\?", ".")}$`, "su");
}

/**
 * Files and folders that a pattern finds in a folder. Hidden ones are found only where the pattern itself begins with
 * a dot.
 */
function found(folder: string, pattern: string): Entry[] {
  const test = nameTest(pattern);
  const matters = (name: string) => name.startsWith(".") === pattern.startsWith(".") && test.test(name);
  return entriesOf(folder, matters).filter(({ name }) => matters(name));
}

/** The folder itself and all below it but folders of results. Links are not followed: they may lead back. */
function* foldersBelow(folder: string, depth = 0): Generator<string> {
  const entries = entriesOf(folder, () => false);
  if (depth > 0 && holdsResults(entries)) return;
  yield folder;
  for (const { name, path, kind, isLink } of entries) {
    if (kind === "folder" && !isLink && !name.startsWith(".")) yield* foldersBelow(path, depth + 1);
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
  const isLast = rest.length === 0;
  if (!WILDCARD.test(part)) {
    const path = folder === "" ? part : join(folder, part);
    const there = stat(path);
    if (isLast ? there?.isFile() : there?.isDirectory()) yield* isLast ? [path] : matches(path, rest);
    return;
  }
  for (const { name, path, kind } of found(folder, part)) {
    if (isLast && kind === "file" && !isAside(name)) yield path;
    if (!isLast && kind === "folder") yield* matches(path, rest);
  }
}

function matching(pattern: string): FolderFiles {
  const parts = pattern.split("/").filter((part) => part !== "");
  const paths = [...matches(pattern.startsWith("/") ? "/" : "", parts)];
  const files = paths.filter((path) => dataExtension(path) !== undefined);
  if (files.length > 0) return { files: [...new Set(files)].sort(byName), validation: [], notes: [] };
  const among = paths.length === 0 ? "" : ` among the ${paths.length} found, such as ${paths[0]}`;
  const message = `No data file matches ${pattern}${among}; expected at least one file with one of ${knownExtensions()}.`;
  throw new LowrankError("E_DATA_FILES", message, pattern);
}

function expand(name: string, wanted: Wanted, output: string | undefined): FolderFiles {
  const there = stat(name);
  if (there?.isDirectory()) return folderFiles(name, wanted, undefined, output);
  if (there !== undefined || !WILDCARD.test(name)) return { files: [name], validation: [], notes: [] };
  return matching(name);
}

/** The files that names stand for. */
export interface DataFiles<Named extends DataFile> extends Omit<FolderFiles, "files"> {
  files: (Named | string)[];
}

/**
 * The files that names stand for, in the order of the names. A file is itself. A folder is the data files in it, see
 * `folderFiles`. * and ? match within a name, ** matches folders at any depth. Hidden files are left out, unless
 * named. A part of a file is itself.
 * @param wanted the split that a folder is read for
 * @param output folder that a run writes into, whose files are not read
 * @throws LowrankError E_DATA_FILES, E_FILE
 */
export function dataFiles<Named extends DataFile>(
  names: Named[],
  wanted: Wanted = "train",
  output?: string,
): DataFiles<Named> {
  const from = new Map<string, { file: string; name: string }>();
  const all: DataFiles<Named> = { files: [], validation: [], notes: [] };
  for (const name of names) {
    if (typeof name === "object") {
      all.files.push(name);
      continue;
    }
    let one: FolderFiles;
    try {
      one = expand(name, wanted, output);
    } catch (error) {
      throw readError(error, name, "Data file");
    }
    for (const file of one.files) {
      const before = from.get(resolve(file));
      if (before !== undefined) {
        const message = `Data file ${file} is named twice, by ${before.name} and by ${name}. Leave one out.`;
        throw new LowrankError("E_DATA_FILES", message, file);
      }
      from.set(resolve(file), { file, name });
    }
    all.files.push(...one.files);
    all.validation.push(...one.validation);
    all.notes.push(...one.notes);
  }
  return all;
}

/**
 * Whatever a file is called, by links and otherwise, its rows are either trained on or evaluated on.
 * @throws LowrankError E_DATA_FILES naming a file that is among both
 */
export function requireApart(training: DataFile[], validation: DataFile[]): void {
  const identity = (file: string) => {
    const { dev, ino } = statSync(file, { bigint: true, throwIfNoEntry: false }) ?? {};
    return ino === undefined ? resolve(file) : `${dev}:${ino}`;
  };
  const trained = training.map(partOf).map((part) => ({ ...part, key: identity(part.file) }));
  for (const { file, from, to } of validation.map(partOf)) {
    const key = identity(file);
    const other = trained.find((one) => one.key === key && one.from < to && from < one.to);
    if (other === undefined) continue;
    const both = other.file === file ? file : `${file}, which is ${other.file},`;
    const rows = Number.isFinite(Math.min(to, other.to)) ? "has rows that are" : "is";
    const message = `Data file ${both} ${rows} both trained on and evaluated on. Leave it out of train_file or of validation_file.`;
    throw new LowrankError("E_DATA_FILES", message, file);
  }
}

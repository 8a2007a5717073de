// The data files of a folder, chosen as datasets' load_dataset(folder) and load_from_disk(folder) choose them.
import { existsSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { LowrankError } from "../base/errors.js";
import { isObject, readJsonObject } from "../base/json.js";
import { requireRegular } from "../base/system-errors.js";
import { describedSplits } from "./card.js";
import { type Entry, entriesOf } from "./folder-entries.js";
import { dataExtension, extensionsBeside, knownExtensions } from "./formats/format-table.js";
import { splitNamed, splitsOf } from "./splits.js";

export type Wanted = "train" | "validation";

export interface FolderFiles {
  files: string[];
  /** Of a folder to train on: the files of its validation split. */
  validation: string[];
  /** The files that were taken and left out, for the log. */
  notes: string[];
}

/**
 * Files that describe data, are made beside it or belong to a project, by the names that Hugging Face's libraries
 * use.
 */
const DESCRIPTIONS = /^(config|dataset_infos?|dataset_dict|state)\.json$|^cache-[0-9a-f]{16}.*\.arrow$/;
const DOCUMENTS =
  /^(read[-_]?me|licen[cs]e|copying|notice|authors|contribut(ing|ors)|changelog|citation|code_of_conduct|security|requirements|(data|dataset)_?(card|sheet))([-_. ].*)?\.(md|txt)$/i;

/** Whether a file that a folder or a pattern finds is no data: to be read it must be named itself. */
export function isAside(name: string): boolean {
  return DESCRIPTIONS.test(name) || DOCUMENTS.test(name);
}

/** Hidden, or put beside data by Spark, Delta Lake and Python: _temporary, _delta_log, __pycache__. */
function isPassedOver({ name, kind }: Entry): boolean {
  return name.startsWith(".") || isAside(name) || (kind === "folder" && name.startsWith("_"));
}

/** Whether data may have this name: a file that can be read, or a folder. */
export function mayBeData(name: string): boolean {
  return !name.startsWith(".") && !isAside(name) && (dataExtension(name) !== undefined || !/\.[a-z]\w*$/i.test(name));
}

/** A folder that Dataset.save_to_disk wrote. */
function isSaved(folder: string): boolean {
  return existsSync(join(folder, "state.json")) && existsSync(join(folder, "dataset_info.json"));
}

/** Its files in the order of its rows. @throws LowrankError E_DATA_FILES */
function savedFiles(folder: string): string[] {
  const file = join(folder, "state.json");
  const { _data_files: data, _indices_data_files: indices } = readJsonObject(file, "State of the dataset");
  const fail = (found: string, advice: string) =>
    new LowrankError("E_DATA_FILES", `${file}: ${found}. ${advice}`, file);
  if (Array.isArray(indices) && indices.length > 0) {
    const advice = "Load it with datasets.load_from_disk, and save it again after flatten_indices().";
    throw fail("the rows are in an order of their own, which only datasets can read", advice);
  }
  if (!Array.isArray(data) || data.length === 0) {
    throw fail("it names no data files (_data_files)", "Save the dataset again, or name its files.");
  }
  return data.map((entry: unknown) => {
    const name = isObject(entry) ? entry.filename : undefined;
    if (typeof name !== "string") throw fail("a data file has no name", "Save the dataset again, or name its files.");
    const path = join(folder, name);
    if (!existsSync(path)) throw fail(`its data file ${name} is not there`, "Copy the whole folder again.");
    return path;
  });
}

/** All files of a folder at every depth; links to folders are followed once. */
function* filesBelow(folder: string, seen = new Set<string>()): Generator<string> {
  const { dev, ino } = statSync(folder, { bigint: true });
  if (seen.has(`${dev}:${ino}`)) return;
  seen.add(`${dev}:${ino}`);
  if (isSaved(folder)) {
    yield* savedFiles(folder);
    return;
  }
  for (const entry of entriesOf(folder, mayBeData)) {
    if (isPassedOver(entry)) continue;
    if (entry.kind === "folder") yield* filesBelow(entry.path, seen);
    else if (entry.kind === "file") yield entry.path;
    else if (mayBeData(entry.name)) requireRegular(statSync(entry.path), entry.path, "Data file");
  }
}

/** Where as many files have one extension as another, the first of these decides. */
const PREFERRED = [".parquet", ".arrow", ".jsonl", ".json", ".csv"];

/** The files of the most frequent format: files of another format are seldom texts of the same kind. */
function ofOneFormat(all: string[]): string[] {
  // Markdown describes other data, unless there is none.
  const others = all.filter((file) => ![".md", undefined].includes(dataExtension(file)));
  const files = others.length > 0 ? others : all;
  const counts = new Map<string, number>();
  for (const file of files) {
    const extension = dataExtension(file);
    if (extension !== undefined) counts.set(extension, (counts.get(extension) ?? 0) + 1);
  }
  const rank = (extension: string) => (PREFERRED.includes(extension) ? PREFERRED.indexOf(extension) : PREFERRED.length);
  const [first] = [...counts.keys()].sort(
    (a, b) => counts.get(b)! - counts.get(a)! || rank(a) - rank(b) || (a < b ? 1 : -1),
  );
  if (first === undefined) return [];
  const extensions = extensionsBeside(first);
  return files.filter((file) => extensions.includes(dataExtension(file)!));
}

const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Names that a note lists. */
const NAMED = 5;

function listed(names: string[]): string {
  const more = names.length - NAMED;
  return names.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

const counted = (files: string[]) => `${files.length} ${files.length === 1 ? "file" : "files"}`;

/** The splits of a folder, each with its files, none where no name tells; the files to read without one, and all found. */
function splitsIn(folder: string): { splits: Map<string, string[]>; from: string[]; all: string[] } {
  const dict = join(folder, "dataset_dict.json");
  if (!existsSync(dict)) {
    // A saved dataset has the order of its rows.
    const found = [...filesBelow(folder)];
    const all = isSaved(folder) ? found : found.sort(byName);
    if (isSaved(folder)) return { splits: new Map(), from: all, all };
    const paths = all.map((file) => relative(folder, file)).filter((path) => dataExtension(path) !== undefined);
    const described = describedSplits(folder, paths);
    const whole = (names: string[]) => names.map((path) => join(folder, path));
    const splits = [...(described?.splits ?? splitsOf(paths))];
    return {
      splits: new Map(splits.map(([name, files]) => [name, whole(files)])),
      from: described ? whole(described.all) : all,
      all,
    };
  }
  const { splits: names } = readJsonObject(dict, "List of splits");
  if (!Array.isArray(names) || names.length === 0 || names.some((name) => typeof name !== "string")) {
    throw new LowrankError("E_DATA_FILES", `${dict}: it names no splits. Save the dataset again.`, dict);
  }
  const splits = new Map(names.map((name: string) => [splitNamed(name), savedFiles(join(folder, name))]));
  const all = [...splits.values()].flat();
  return { splits, from: all, all };
}

/** Which split is read; undefined where the folder has none for it. */
function choose(splits: Map<string, string[]>, wanted: Wanted): string | undefined {
  if (wanted === "validation") return ["validation", "test"].find((split) => splits.has(split));
  if (splits.has("train")) return "train";
  const others = [...splits.keys()].filter((split) => split !== "validation" && split !== "test");
  return others.length === 1 ? others[0] : undefined;
}

/**
 * The data files of a folder, at every depth: the files of the split, if the names tell one, and of the most frequent
 * format.
 * @throws LowrankError E_DATA_FILES where there is none; E_FILE
 */
export function folderFiles(folder: string, wanted: Wanted): FolderFiles {
  const { splits, from: whole, all } = splitsIn(folder);
  const split = splits.size === 0 ? undefined : choose(splits, wanted);
  if (splits.size > 0 && split === undefined) {
    const message = `Folder ${folder} has the splits ${[...splits.keys()].join(", ")}, none of them for ${wanted === "train" ? "training" : "validation"}. Name the files to read, such as ${[...splits.values()][0]![0]}.`;
    throw new LowrankError("E_DATA_FILES", message, folder);
  }
  const from = split === undefined ? whole : splits.get(split)!;
  const files = ofOneFormat(from);
  if (files.length === 0) {
    const among = all.length === 0 ? "" : ` among the ${all.length} found, such as ${all[0]}`;
    const message = `Folder ${folder} holds no data file${among}; expected at least one file with one of ${knownExtensions()}.`;
    throw new LowrankError("E_DATA_FILES", message, folder);
  }
  const validation = wanted === "train" && split === "train" ? ofOneFormat(splits.get("validation") ?? []) : [];
  const notes: string[] = [];
  if (split !== undefined) {
    const why = wanted === "validation" && split === "test" ? ", as it has no validation split" : "";
    notes.push(`folder ${folder}: the ${split} split is read (${counted(files)})${why}`);
  }
  const taken = new Set([...files, ...[...splits.entries()].flatMap(([name, found]) => (name === split ? [] : found))]);
  const left = all.filter((file) => !taken.has(file)).map((file) => relative(folder, file));
  if (left.length > 0) {
    const formats = extensionsBeside(dataExtension(files[0]!)!).join(", ");
    notes.push(
      `folder ${folder}: ${counted(files)} with ${formats} read; left out: ${listed(left)}. Name them to read them, too.`,
    );
  }
  return { files, validation, notes };
}

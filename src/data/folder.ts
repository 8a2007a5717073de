// The data files of a folder, chosen as datasets' load_dataset(folder) and load_from_disk(folder) choose them.
import { existsSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { LowrankError } from "../base/errors.js";
import { isObject, readJsonObject } from "../base/json.js";
import { readText, requireRegular } from "../base/system-errors.js";
import { type DataPlace, describedSplits, titled } from "./card.js";
import { type Entry, entriesOf } from "./folder-entries.js";
import { dataExtension, extensionsBeside, knownExtensions } from "./formats/format-table.js";
import { splitNamed, splitsOf } from "./splits.js";

export type Wanted = "train" | "validation";

/** The part of a data set that is read, where it has several configurations or splits. */
export interface Selection {
  /** Configuration; else the default one. */
  config?: string | undefined;
  /** The split that is read; else the usual one. */
  split?: string | undefined;
  /** Of a data set to train on: whether the files of a split to evaluate on are wanted, too; its name, else validation. */
  validation?: { split: string | undefined } | undefined;
}

export interface FolderFiles {
  files: string[];
  /** For a folder to train on: the files of its validation split. */
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
function isPassedOver({ name, kind }: Pick<Entry, "name" | "kind">): boolean {
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

/** Files of an adapter, of a training run or of several, here and in other programs, and the weights of a model. */
const RESULTS =
  /^(adapter_config\.json|(lowrank|trainer)_state\.json|sweep\.json|(adapter_|pytorch_)?model.*\.(safetensors|bin))$/;

/** Whether a folder holds what a training makes or begins with: it is no data, unless it is named itself. */
export function holdsResults(entries: Entry[]): boolean {
  const has = (name: string) => entries.some((entry) => entry.name === name);
  const isRun = has("metrics.jsonl") && has("train.log");
  return (
    isRun || entries.some(({ name, kind }) => (kind === "folder" ? /^checkpoint-\d+$/.test(name) : RESULTS.test(name)))
  );
}

/** A folder, however it is called; undefined where there is none. */
function identity(folder: string): string | undefined {
  const { dev, ino } = statSync(folder, { bigint: true, throwIfNoEntry: false }) ?? {};
  return ino === undefined ? undefined : `${dev}:${ino}`;
}

/**
 * All files of a folder at every depth, without those of folders of results; links to folders are followed once.
 * @param results takes the names of folders of results. @param seen folders that are not followed
 */
function* filesBelow(folder: string, results: string[], seen: Set<string>, depth = 0): Generator<string> {
  const self = identity(folder)!;
  if (depth > 0 && seen.has(self)) return;
  seen.add(self);
  if (isSaved(folder)) {
    yield* savedFiles(folder);
    return;
  }
  const entries = entriesOf(folder, mayBeData);
  if (depth > 0 && holdsResults(entries)) {
    results.push(folder);
    return;
  }
  for (const entry of entries) {
    if (isPassedOver(entry)) continue;
    if (entry.kind === "folder") yield* filesBelow(entry.path, results, seen, depth + 1);
    else if (entry.kind === "file") yield entry.path;
    else if (mayBeData(entry.name)) requireRegular(statSync(entry.path), entry.path, "Data file");
  }
}

/** Where two extensions are equally frequent, the first of these decides. */
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

/** The splits of a data set, each with its files, none where no name tells; the files to read without a split, and all found. */
interface Divided {
  splits: Map<string, string[]>;
  from: string[];
  all: string[];
  /** Folders of results that were passed over. */
  results?: string[];
}

/** @param all paths within the data set, sorted. @param card text of its README.md, where it has one */
function divided(all: string[], card: string | undefined, place: DataPlace, config: string | undefined): Divided {
  const paths = all.filter((path) => dataExtension(path) !== undefined);
  const described = describedSplits(card ?? "", paths, place, config);
  return described
    ? { splits: described.splits, from: described.all, all }
    : { splits: splitsOf(paths), from: all, all };
}

/** @param output folder that a run writes into */
function splitsIn(folder: string, place: DataPlace, config: string | undefined, output: string | undefined): Divided {
  const dict = join(folder, "dataset_dict.json");
  if (!existsSync(dict)) {
    // A saved dataset has the order of its rows.
    const results: string[] = [];
    const own = output === undefined ? undefined : identity(output);
    const found = [...filesBelow(folder, results, new Set(own === undefined ? [] : [own]))];
    if (isSaved(folder)) return { splits: new Map(), from: found, all: found };
    const card = join(folder, "README.md");
    const all = found.sort(byName).map((file) => relative(folder, file));
    const { splits, from } = divided(all, existsSync(card) ? readText(card, "Dataset card") : undefined, place, config);
    const whole = (names: string[]) => names.map((path) => join(folder, path));
    return {
      splits: new Map([...splits].map(([name, files]) => [name, whole(files)])),
      from: whole(from),
      all: whole(all),
      results,
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

/** The files of a split that is named. @throws LowrankError E_DATA_FILES where there is none of that name */
function namedSplit({ splits, from }: Divided, named: string, place: DataPlace): string[] {
  const split = splitNamed(named);
  // Without any split all files are the training split, as for datasets.
  const files = splits.get(split) ?? splits.get(named) ?? (splits.size === 0 && split === "train" ? from : undefined);
  if (files) return files;
  const message = `${titled(place)} has no split ${named}. It has ${[...splits.keys()].join(", ") || "train"}.`;
  throw new LowrankError("E_DATA_FILES", message, place.name);
}

/** @throws LowrankError E_DATA_FILES */
function chosenFiles(
  found: Divided,
  wanted: Wanted,
  place: DataPlace,
  shown: (file: string) => string,
  selection: Selection,
) {
  const { splits, from: whole, all, results = [] } = found;
  const { split: named, validation: side } = selection;
  const split = named ?? (splits.size === 0 ? undefined : choose(splits, wanted));
  if (splits.size > 0 && split === undefined) {
    const advice =
      place.kind === "folder"
        ? `Name the files to read, such as ${[...splits.values()][0]![0]}.`
        : "Name one with --dataset_split.";
    const message = `${titled(place)} has the splits ${[...splits.keys()].join(", ")}, none of them for ${wanted === "train" ? "training" : "validation"}. ${advice}`;
    throw new LowrankError("E_DATA_FILES", message, place.name);
  }
  const from = split === undefined ? whole : namedSplit(found, split, place);
  const files = ofOneFormat(from);
  if (files.length === 0) {
    const among = all.length === 0 ? "" : ` among the ${all.length} found, such as ${all[0]}`;
    const message = `${titled(place)} holds no data file${among}; expected at least one file with one of ${knownExtensions()}.`;
    throw new LowrankError("E_DATA_FILES", message, place.name);
  }
  const usual = split === "train" ? splits.get("validation") : undefined;
  const held = side?.split === undefined ? usual : namedSplit(found, side.split, place);
  const validation = wanted === "train" && side !== undefined ? ofOneFormat(held ?? []) : [];
  const notes: string[] = [];
  const about = `${place.kind} ${place.name}`;
  if (split !== undefined) {
    const why =
      named === undefined && wanted === "validation" && split === "test" ? ", as it has no validation split" : "";
    notes.push(`${about}: the ${split} split is read (${counted(files)})${why}`);
  }
  if (results.length > 0)
    notes.push(`${about}: folders of models, adapters and runs are left out: ${listed(results.map(shown))}`);
  const taken = new Set([...files, ...[...splits.values()].filter((others) => others !== from).flat()]);
  const left = all.filter((file) => !taken.has(file)).map(shown);
  // Of a named data set nobody expects the other files of the repository.
  if (left.length > 0 && place.kind === "folder") {
    const formats = extensionsBeside(dataExtension(files[0]!)!).join(", ");
    notes.push(
      `${about}: ${counted(files)} with ${formats} read; left out: ${listed(left)}. Name them to read them, too.`,
    );
  }
  return { files, validation, notes };
}

/**
 * The data files of a folder, at every depth: the files of the split, if the names tell one, and of the most frequent
 * format.
 * @param selection of a data set that is named as one
 * @param output folder that a run writes into, whose files are not read
 * @throws LowrankError E_DATA_FILES where there is none; E_FILE
 */
export function folderFiles(folder: string, wanted: Wanted, selection?: Selection, output?: string): FolderFiles {
  const place: DataPlace = { kind: selection ? "data set" : "folder", name: folder };
  const found = splitsIn(folder, place, selection?.config, output);
  return chosenFiles(
    found,
    wanted,
    place,
    (file) => relative(folder, file),
    selection ?? { validation: { split: undefined } },
  );
}

/**
 * The same of a repository, before it is here.
 * @param name for messages. @param paths of all its files. @param card text of its README.md, where it has one
 * @returns paths within the repository
 * @throws LowrankError E_DATA_FILES
 */
export function repositoryFiles(
  name: string,
  paths: string[],
  card: string | undefined,
  wanted: Wanted,
  selection: Selection,
): FolderFiles {
  const place: DataPlace = { kind: "data set", name };
  const isData = (path: string) => {
    const parts = path.split("/");
    return parts.every((part, i) => !isPassedOver({ name: part, kind: i < parts.length - 1 ? "folder" : "file" }));
  };
  const found = divided(paths.filter(isData).sort(byName), card, place, selection.config);
  return chosenFiles(found, wanted, place, (path) => path, selection);
}

/** The hub's converter makes CONFIGURATION/SPLIT/0000.parquet; of a very large split a part alone, which it calls so. */
const CONVERTED = /^([^/]+)\/(partial-)?([^/]+)\/[^/]+\.parquet$/;

/**
 * The files that the hub's converter made of a repository (its branch refs/convert/parquet), chosen likewise.
 * @throws LowrankError E_DATA_FILES
 */
export function convertedFiles(name: string, paths: string[], wanted: Wanted, selection: Selection): FolderFiles {
  const place: DataPlace = { kind: "data set", name };
  const files = [...paths].sort(byName).flatMap((path) => {
    const [, config, partial, split] = CONVERTED.exec(path) ?? [];
    return config === undefined ? [] : [{ path, config, split: split!, isPartial: partial !== undefined }];
  });
  const configs = [...new Set(files.map(({ config }) => config))];
  const config = selection.config ?? (configs.length === 1 ? configs[0] : "default");
  const own = files.filter((file) => file.config === config);
  if (own.length === 0) {
    const found = selection.config === undefined ? "several configurations" : `no configuration ${config}`;
    const message = `${titled(place)} has ${found}. It has ${configs.join(", ")}: name one with --dataset_config_name.`;
    throw new LowrankError("E_DATA_FILES", message, name);
  }
  const splits = new Map<string, string[]>();
  for (const { split, path } of own) splits.set(split, [...(splits.get(split) ?? []), path]);
  const all = own.map(({ path }) => path);
  const chosen = chosenFiles({ splits, from: all, all }, wanted, place, (path) => path, selection);
  const isPartial = own.some((file) => file.isPartial && chosen.files.includes(file.path));
  const notes = isPartial
    ? [...chosen.notes, `data set ${name}: the hub has converted a part of this split only`]
    : chosen.notes;
  return { ...chosen, notes };
}

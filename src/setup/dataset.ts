// Data sets by name: their files are chosen by the card and by names, and downloaded.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import {
  convertedFiles,
  type DataFile,
  type FolderFiles,
  folderFiles,
  partFiles,
  repositoryFiles,
  type Selection,
  type SplitPart,
  splitParts,
  type Wanted,
} from "../data/index.js";
import { type Wanted as Files, type Repository, repositoryOf, shownName, snapshotFolder } from "../hub/index.js";
import type { Fetching } from "./hub.js";
import { type ReadingOptions, readOptions } from "./texts.js";

/** Options that name a data set, and tell how its files are read. */
export interface DatasetOptions extends ReadingOptions {
  dataset_name?: string | undefined;
  dataset_config_name?: string | undefined;
  dataset_split?: string | undefined;
  dataset_validation_split?: string | undefined;
}

/** The branch of a data set whose files the hub cannot give as they are: it holds converted files. */
const CONVERTED = "refs/convert/parquet";
/** For these reasons the converted files are looked for. */
const UNSUITABLE = ["E_DATA_FILES", "E_HUB_OFFLINE"];
const CARD = "README.md";

/** The parts of splits that are wanted; no part: the usual split. */
interface Sides {
  wanted: Wanted;
  parts: (SplitPart | undefined)[];
  /** To evaluate on, beside a data set to train on; undefined where none are. */
  held: (SplitPart | undefined)[] | undefined;
}

/** A part of a split, and the files of the split. */
interface Chosen {
  part: SplitPart | undefined;
  files: string[];
}

/** The files of each part. */
interface ChosenSides {
  parts: Chosen[];
  held: Chosen[];
  notes: string[];
}

type Choose = (selection: Selection) => FolderFiles;

const allFiles = (parts: Chosen[]) => parts.flatMap(({ files }) => files);

/** @throws LowrankError E_DATA_FILES */
function chosenSides(choose: Choose, config: string | undefined, { parts, held }: Sides): ChosenSides {
  const notes = new Set<string>();
  const usual: string[] = [];
  const chosen = (part: SplitPart | undefined, takesUsual: boolean) => {
    const found = choose({ config, split: part?.split, validation: takesUsual ? { split: undefined } : undefined });
    for (const note of found.notes) notes.add(note);
    usual.push(...found.validation);
    return { part, files: found.files };
  };
  const isUsual = held?.[0] === undefined && held !== undefined;
  const trained = parts.map((part) => chosen(part, isUsual));
  const others = isUsual ? [] : (held ?? []).map((part) => chosen(part, false));
  // The usual validation split is evaluated on where none of it is trained on.
  const isFree = usual.length > 0 && !usual.some((file) => allFiles(trained).includes(file));
  return {
    parts: trained,
    held: isFree ? [{ part: undefined, files: [...new Set(usual)] }] : others,
    notes: [...notes],
  };
}

/** Downloads the files that are chosen among a repository's. @throws LowrankError E_DATA_FILES, E_HUB_..., E_WRITE; or the signal's reason */
async function download(
  repository: Repository,
  choose: (names: string[], card: string | undefined) => ChosenSides,
  fetching: Fetching,
): Promise<ChosenSides> {
  let chosen: ChosenSides = { parts: [], held: [], notes: [] };
  const wanted: Files = (names, read) => {
    const card = names.includes(CARD) ? read(CARD) : undefined;
    // The card decides: it comes first.
    if (names.includes(CARD) && card === undefined) return [CARD];
    chosen = choose(names, card);
    const files = new Set([...allFiles(chosen.parts), ...allFiles(chosen.held)]);
    return [...(card === undefined ? [] : [CARD]), ...files];
  };
  const folder = await snapshotFolder(repository, wanted, fetching);
  const whole = (parts: Chosen[]) =>
    parts.map(({ part, files }) => ({ part, files: files.map((path) => join(folder, path)) }));
  return { ...chosen, parts: whole(chosen.parts), held: whole(chosen.held) };
}

/** Refuses a data set that a Python script makes of other files: these files are not its rows. */
function requireNoScript(name: string, names: string[]): void {
  const script = `${name.slice(name.indexOf("/") + 1)}.py`;
  if (!names.includes(script)) return;
  const message = `Data set ${name} is made by a script of its own (${script}), which is not run, and the hub has not converted it. Make files of it in Python, and name them with --train_file.`;
  throw new LowrankError("E_DATA_FILES", message, name);
}

async function fromHub(repository: Repository, config: string | undefined, sides: Sides, fetching: Fetching) {
  const shown = shownName(repository);
  const { wanted } = sides;
  const plain = (names: string[], card: string | undefined) => {
    requireNoScript(repository.name, names);
    return chosenSides((selection) => repositoryFiles(shown, names, card, wanted, selection), config, sides);
  };
  try {
    return await download(repository, plain, fetching);
  } catch (error) {
    const isUnsuitable = error instanceof LowrankError && UNSUITABLE.includes(error.code);
    if (!isUnsuitable || repository.revision !== "main") throw error;
    const converted = (names: string[]) =>
      chosenSides((selection) => convertedFiles(shown, names, wanted, selection), config, sides);
    return download({ ...repository, revision: CONVERTED }, converted, fetching).catch((other) => {
      const isThere = other instanceof LowrankError && other.code === "E_DATA_FILES";
      fetching.signal?.throwIfAborted();
      throw isThere ? other : error;
    });
  }
}

/** The rows of each side of a data set. */
interface DatasetRows {
  files: DataFile[];
  held: DataFile[];
}

/**
 * The files of a data set, by its name on the hub or its folder.
 * @throws LowrankError E_DATA_FILES, E_DATA_EMPTY, E_FILE_MISSING, E_HUB_..., E_WRITE and the errors of reading; or the signal's reason
 */
async function datasetFiles(name: string, o: DatasetOptions, sides: Sides, fetching: Fetching): Promise<DatasetRows> {
  const { dataset_config_name: config } = o;
  const repository = repositoryOf(name, "dataset");
  if (repository?.folder !== undefined) {
    const message = `--dataset_name ${name}: a folder of a data set cannot be named. Name the data set, and its part with --dataset_config_name.`;
    throw new LowrankError("E_USAGE", message, "dataset_name");
  }
  const found = repository
    ? await fromHub(repository, config, sides, fetching)
    : existsSync(name) && chosenSides((selection) => folderFiles(name, sides.wanted, selection), config, sides);
  if (!found) {
    const message = `--dataset_name ${name}: there is no such folder, and names of the hub have an owner: OWNER/NAME.`;
    throw new LowrankError("E_FILE_MISSING", message, name);
  }
  for (const note of found.notes) fetching.note?.(note);
  const rowsOf = async (parts: Chosen[]) => {
    const all: DataFile[] = [];
    for (const { part, files } of parts) {
      const rows = part ? await partFiles(part, files, readOptions(o)) : { files };
      if (rows.note !== undefined) fetching.note?.(`data set ${name}, ${rows.note}`);
      all.push(...rows.files);
    }
    return all;
  };
  return { files: await rowsOf(found.parts), held: await rowsOf(found.held) };
}

/** The parts that an option names. */
const partsOf = (named: string | undefined) => (named === undefined ? [undefined] : splitParts(named));

/** @throws LowrankError E_USAGE where a part of a data set is named, and no data set is */
function checkNamed(o: DatasetOptions): void {
  const parts = ["dataset_config_name", "dataset_split", "dataset_validation_split"] as const;
  const alone = o.dataset_name === undefined ? parts.filter((part) => o[part] !== undefined) : [];
  if (alone.length > 0) throw new LowrankError("E_USAGE", `${alone.join(" and ")} needs dataset_name.`, alone[0]);
}

/** Texts to train and to evaluate on: files, or texts themselves. */
export interface TrainingFiles<T = never> {
  train_file: DataFile[] | T;
  validation_file: DataFile[] | T | undefined;
}

/**
 * The files to train and to evaluate on, of a data set where one is named.
 * @throws LowrankError E_USAGE and the errors of `datasetFiles`
 */
export async function trainingFiles<T>(
  o: DatasetOptions & { train_file: T | undefined; validation_file: T | undefined },
  fetching: Fetching,
): Promise<TrainingFiles<T>> {
  checkNamed(o);
  const { dataset_name: name, dataset_validation_split: split, train_file, validation_file } = o;
  if (split !== undefined && validation_file !== undefined) {
    const message = "dataset_validation_split is given beside validation_file, expected one of them.";
    throw new LowrankError("E_USAGE", message, "dataset_validation_split");
  }
  if (name === undefined) return { train_file: train_file!, validation_file };
  const sides = { parts: partsOf(o.dataset_split), held: validation_file === undefined ? partsOf(split) : undefined };
  const { files, held } = await datasetFiles(name, o, { wanted: "train", ...sides }, fetching);
  return { train_file: files, validation_file: validation_file ?? (held.length > 0 ? held : undefined) };
}

/**
 * The files of one role. @param files that are named, which count before a data set. @throws LowrankError E_USAGE and the errors of
 * `datasetFiles`
 */
export async function namedFiles(
  o: DatasetOptions,
  files: string[] | undefined,
  wanted: Wanted,
  fetching: Fetching,
): Promise<DataFile[]> {
  checkNamed(o);
  if (files !== undefined || o.dataset_name === undefined) return files!;
  const sides = { wanted, parts: partsOf(o.dataset_split), held: undefined };
  return (await datasetFiles(o.dataset_name, o, sides, fetching)).files;
}

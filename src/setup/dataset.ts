// Data sets by name: their files are chosen by the card and by names, and downloaded.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import {
  convertedFiles,
  type FolderFiles,
  folderFiles,
  repositoryFiles,
  type Selection,
  type Wanted,
} from "../data/index.js";
import { type Wanted as Files, type Repository, repositoryOf, shownName, snapshotFolder } from "../hub/index.js";
import type { Fetching } from "./hub.js";

/** Options that name a data set. */
export interface DatasetOptions {
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

/** Downloads the files that are chosen among a repository's. @throws LowrankError E_DATA_FILES, E_HUB_..., E_WRITE; or the signal's reason */
async function download(
  repository: Repository,
  choose: (names: string[], card: string | undefined) => FolderFiles,
  fetching: Fetching,
): Promise<FolderFiles> {
  let chosen: FolderFiles = { files: [], validation: [], notes: [] };
  const wanted: Files = (names, read) => {
    const card = names.includes(CARD) ? read(CARD) : undefined;
    // The card decides: it comes first.
    if (names.includes(CARD) && card === undefined) return [CARD];
    chosen = choose(names, card);
    return [...(card === undefined ? [] : [CARD]), ...chosen.files, ...chosen.validation];
  };
  const folder = await snapshotFolder(repository, wanted, fetching);
  const whole = (paths: string[]) => paths.map((path) => join(folder, path));
  return { ...chosen, files: whole(chosen.files), validation: whole(chosen.validation) };
}

/** Refuses a data set that a Python script makes of other files: these files are not its rows. */
function requireNoScript(name: string, names: string[]): void {
  const script = `${name.slice(name.indexOf("/") + 1)}.py`;
  if (!names.includes(script)) return;
  const message = `Data set ${name} is made by a script of its own (${script}), which is not run, and the hub has not converted it. Make files of it in Python, and name them with --train_file.`;
  throw new LowrankError("E_DATA_FILES", message, name);
}

async function fromHub(repository: Repository, wanted: Wanted, selection: Selection, fetching: Fetching) {
  const shown = shownName(repository);
  const plain = (names: string[], card: string | undefined) => {
    requireNoScript(repository.name, names);
    return repositoryFiles(shown, names, card, wanted, selection);
  };
  try {
    return await download(repository, plain, fetching);
  } catch (error) {
    const isUnsuitable = error instanceof LowrankError && UNSUITABLE.includes(error.code);
    if (!isUnsuitable || repository.revision !== "main") throw error;
    const converted = (names: string[]) => convertedFiles(shown, names, wanted, selection);
    return download({ ...repository, revision: CONVERTED }, converted, fetching).catch((other) => {
      const isThere = other instanceof LowrankError && other.code === "E_DATA_FILES";
      fetching.signal?.throwIfAborted();
      throw isThere ? other : error;
    });
  }
}

/**
 * The files of a data set, by its name on the hub or its folder.
 * @throws LowrankError E_DATA_FILES, E_FILE_MISSING, E_HUB_..., E_WRITE; or the signal's reason
 */
async function datasetFiles(
  name: string,
  { dataset_config_name: config, dataset_split: split }: DatasetOptions,
  wanted: Wanted,
  validation: Selection["validation"],
  fetching: Fetching,
): Promise<FolderFiles> {
  const selection = { config, split, validation };
  const repository = repositoryOf(name, "dataset");
  const found = repository
    ? await fromHub(repository, wanted, selection, fetching)
    : existsSync(name) && folderFiles(name, wanted, selection);
  if (found) {
    for (const note of found.notes) fetching.note?.(note);
    return found;
  }
  const message = `--dataset_name ${name}: there is no such folder, and names of the hub have an owner: OWNER/NAME.`;
  throw new LowrankError("E_FILE_MISSING", message, name);
}

/** @throws LowrankError E_USAGE where a part of a data set is named, and no data set is */
function checkNamed(o: DatasetOptions): void {
  const parts = ["dataset_config_name", "dataset_split", "dataset_validation_split"] as const;
  const alone = o.dataset_name === undefined ? parts.filter((part) => o[part] !== undefined) : [];
  if (alone.length > 0) throw new LowrankError("E_USAGE", `${alone.join(" and ")} needs dataset_name.`, alone[0]);
}

/** Texts to train and to evaluate on: files, or texts themselves. */
interface TrainingFiles<T> {
  train_file: T;
  validation_file: T | undefined;
}

/**
 * The files to train and to evaluate on, of a data set where one is named.
 * @throws LowrankError E_USAGE and the errors of `datasetFiles`
 */
export async function trainingFiles<T>(
  o: DatasetOptions & { train_file: T | undefined; validation_file: T | undefined },
  fetching: Fetching,
): Promise<TrainingFiles<T | string[]>> {
  checkNamed(o);
  const { dataset_name: name, dataset_validation_split: held, train_file, validation_file } = o;
  if (held !== undefined && validation_file !== undefined) {
    const message = "dataset_validation_split is given beside validation_file, expected one of them.";
    throw new LowrankError("E_USAGE", message, "dataset_validation_split");
  }
  if (name === undefined) return { train_file: train_file!, validation_file };
  const side = validation_file === undefined ? { split: held } : undefined;
  const { files, validation } = await datasetFiles(name, o, "train", side, fetching);
  return { train_file: files, validation_file: validation_file ?? (validation.length > 0 ? validation : undefined) };
}

/**
 * The files of one role. @param files where no data set is named. @throws LowrankError E_USAGE and the errors of
 * `datasetFiles`
 */
export async function namedFiles(
  o: DatasetOptions,
  files: string[] | undefined,
  wanted: Wanted,
  fetching: Fetching,
): Promise<string[]> {
  checkNamed(o);
  if (o.dataset_name === undefined) return files!;
  return (await datasetFiles(o.dataset_name, o, wanted, undefined, fetching)).files;
}

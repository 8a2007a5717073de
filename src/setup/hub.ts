// Names of the hub among the options: their files are downloaded, and the options name folders from then on.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { LowrankError } from "../base/errors.js";
import { type NamedBase, namedBase } from "../checkpoint/index.js";
import {
  adapterFiles,
  modelFiles,
  repositoryOf,
  type SnapshotOptions,
  snapshotFolder,
  tokenizerFiles,
  type Wanted,
  within,
  withTokenizer,
} from "../hub/index.js";
import { bareNameError } from "../model/index.js";
import type { ModelOrigin } from "../native/index.js";

/** How downloads are shown, and ended. */
export type Fetching = Pick<SnapshotOptions, "signal" | "onStart" | "onProgress" | "headersDo"> & {
  warn: (message: string) => void;
  /** Told which files of a data set are read. */
  note?: ((message: string) => void) | undefined;
};

/** Whether the headers of a model's weights tell all that a plan needs; weights that were saved quantised hold facts about themselves. */
export const headersDo: Fetching["headersDo"] = (read) =>
  !(read("config.json") ?? "").includes('"quantization_config"');

/** Options that take a path, or OWNER/NAME or OWNER/NAME@REVISION. */
export interface NamedSources {
  base_model?: string | undefined;
  tokenizer_name?: string | undefined;
  adapter?: string | undefined;
  init_adapter?: string | undefined;
  /** The base's revision. */
  revision?: string | undefined;
}

/** The options with paths in place of names. */
export type Located<O> = Omit<O, "base_model"> & {
  base_model: string;
  /** The base's name and revision, where it had one. */
  origin: ModelOrigin | undefined;
};

const BESIDE = { adapter: adapterFiles, init_adapter: adapterFiles, tokenizer_name: tokenizerFiles } as const;

/** @param given whether a person gave the revision: then it must be one of the hub, and the only one */
async function place({ named, revision }: NamedBase, wanted: Wanted, fetching: Fetching, given = false) {
  const repository = repositoryOf(named, "model", revision);
  if (repository === undefined) {
    if (given && existsSync(named))
      fetching.warn(`--revision ${revision} is of no use: ${named} is a file or folder here`);
    return { path: named, origin: undefined };
  }
  const { name, revision: at } = repository;
  if (given && at !== revision) {
    const message = `--revision is ${revision}, but the name says ${named}: give the revision once.`;
    throw new LowrankError("E_USAGE", message, "revision");
  }
  const { folder } = repository;
  if (folder === undefined) {
    const path = await snapshotFolder(repository, wanted, fetching);
    return { path, origin: { name, revision: at === "main" ? undefined : at } };
  }
  // A base's name in adapter_config.json has no place for a folder.
  return { path: join(await snapshotFolder(repository, within(folder, wanted), fetching), folder), origin: undefined };
}

/** The folder of an adapter, by its path or its name. @throws LowrankError E_HUB_..., E_WRITE; or the signal's reason */
export async function adapterFolder(named: string, fetching: Fetching): Promise<string> {
  return (await place({ named }, adapterFiles, fetching)).path;
}

/**
 * The base that an adapter names: a path from here, else one from the adapter, else a name of the hub.
 * @throws LowrankError E_FILE_MISSING, E_CONFIG_VALUE
 */
export function baseOfAdapter(folder: string): NamedBase {
  const { named, revision } = namedBase(folder);
  const found = [named, resolve(folder, named)].find((path) => existsSync(path));
  if (found !== undefined) return { named: found };
  if (repositoryOf(named, "model", revision) !== undefined) return { named, revision };
  const who = `The base that ${folder}/adapter_config.json names with base_model_name_or_path`;
  const bare = bareNameError(named, who);
  const message = bare
    ? `${bare.message} Give it with --base_model.`
    : `${who}, ${named}, is not there. Name its folder with --base_model.`;
  throw new LowrankError("E_FILE_MISSING", message, named);
}

function baseOf({ base_model, revision }: NamedSources, adapter: string | undefined): NamedBase {
  if (base_model !== undefined) return { named: base_model, revision };
  if (adapter === undefined) {
    const message = "base_model is missing: expected a base model, or an adapter that names its base.";
    throw new LowrankError("E_USAGE", message, "base_model");
  }
  const base = baseOfAdapter(adapter);
  return { ...base, revision: revision ?? base.revision };
}

/**
 * Finds the files that the options name. A path is itself. A name of the hub is its snapshot in the cache, downloaded where it is
 * not there. Where no base is named, the adapter's is taken.
 * @param wanted files of the base
 * @throws LowrankError E_USAGE, E_HUB_..., E_WRITE, E_FILE_MISSING, E_CONFIG_VALUE; or the signal's reason
 */
export async function located<O extends NamedSources>(
  o: O,
  fetching: Fetching,
  wanted: Wanted = o.tokenizer_name === undefined ? withTokenizer(modelFiles) : modelFiles,
): Promise<Located<O>> {
  const beside: Partial<Record<keyof typeof BESIDE, string>> = {};
  for (const option of Object.keys(BESIDE) as (keyof typeof BESIDE)[]) {
    const named = o[option];
    if (named !== undefined) beside[option] = (await place({ named }, BESIDE[option], fetching)).path;
  }
  const base = baseOf(o, beside.adapter);
  const { path, origin } = await place(base, wanted, fetching, o.revision !== undefined);
  return { ...o, ...beside, base_model: path, origin };
}

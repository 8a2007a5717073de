// The files of a model folder that hold its weights: one file, or shards with an index. The index is a hint: the contents of
// the shards count.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { isObject, kindOf, readJsonObject } from "../base/json.js";
import { repeatedNames } from "./repeated.js";
import { readSafetensorsHeader, type SafetensorsTensor } from "./safetensors.js";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
/** The names that transformers gives to shards. */
const SHARD = /^model-\d+-of-(\d+)\.safetensors$/;

/** Weight files of a folder and, in shards, which of them holds each tensor by the index. */
export interface WeightFiles {
  /** Names within the folder, of the files that are there. */
  files: string[];
  /** Name of the index, null where there is one file. */
  index: string | null;
  /** Shard of each tensor, null where there is one file. */
  weightMap: Map<string, string> | null;
}

/** @throws LowrankError E_FILE_MISSING, E_JSON, E_INDEX */
export function findWeightFiles(folder: string): WeightFiles {
  if (existsSync(join(folder, SINGLE))) return { files: [SINGLE], index: null, weightMap: null };
  if (existsSync(join(folder, INDEX))) return readIndex(folder);
  const other = readdirSync(folder).filter((name) => /\.(bin|pt|pth|gguf|safetensors)$/.test(name));
  throw new LowrankError(
    "E_FILE_MISSING",
    `Model folder ${folder} has neither ${SINGLE} nor ${INDEX}. ${adviceFor(other)}`,
    folder,
  );
}

function adviceFor(others: string[]): string {
  if (others.length === 0) return "Download its weights.";
  const has = `It has ${others.join(", ")}`;
  if (others.some((name) => SHARD.test(name))) return `${has}: download the index that belongs to the shards, too.`;
  const script = `AutoModelForCausalLM.from_pretrained(FOLDER, dtype="auto").save_pretrained(NEW_FOLDER)`;
  return `${has}; save the model as ${SINGLE}, in Python with ${script}.`;
}

function readIndex(folder: string): WeightFiles {
  const file = join(folder, INDEX);
  const { weight_map: map } = readJsonObject(file);
  if (!isObject(map))
    throw new LowrankError("E_INDEX", `${file}: weight_map is ${kindOf(map)}, expected an object.`, file);
  const weightMap = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    // A shard is a file of this folder: an index must not lead anywhere else.
    if (typeof shard !== "string" || !/^[^/\\]+\.safetensors$/.test(shard)) {
      throw new LowrankError(
        "E_INDEX",
        `${file}: the shard of ${name} is ${kindOf(shard)}, expected the name of a .safetensors file of the folder.`,
        name,
      );
    }
    weightMap.set(name, shard);
  }
  const listed = [...new Set(weightMap.values())];
  const files = new Set(listed.filter((name) => existsSync(join(folder, name))));
  for (const name of unlistedShards(folder, listed)) files.add(name);
  return { files: [...files].sort(), index: INDEX, weightMap };
}

/** Shards that the index passes over; one of another number of shards is of another model. */
function unlistedShards(folder: string, listed: string[]): string[] {
  const totals = new Set(listed.flatMap((name) => SHARD.exec(name)?.[1] ?? []));
  return readdirSync(folder).filter((name) => totals.has(SHARD.exec(name)?.[1] ?? ""));
}

/**
 * Tensors of every file. Of a tensor that several shards hold, the index decides which counts. Without its word the last
 * one counts, as in transformers.
 */
export function readTensors(folder: string, { files, weightMap }: WeightFiles): SafetensorsTensor[] {
  const lists = files.map((name) => readSafetensorsHeader(join(folder, name)).tensors);
  if (lists.length === 1) return lists[0]!;
  const tensors = lists.flat();
  const repeated = repeatedNames(tensors);
  if (repeated.size === 0) return tensors;
  const chosen = new Map<string, SafetensorsTensor>();
  for (const tensor of tensors.filter(({ name }) => repeated.has(name))) {
    const other = chosen.get(tensor.name);
    const placed = weightMap?.get(tensor.name);
    if (!other || placed === undefined || other.file !== join(folder, placed)) chosen.set(tensor.name, tensor);
  }
  return tensors.filter((tensor) => (chosen.get(tensor.name) ?? tensor) === tensor);
}

/** Shards that an index names and the folder lacks. */
export function absentShards({ files, weightMap }: WeightFiles): string[] {
  return [...new Set(weightMap?.values())].filter((name) => !files.includes(name)).sort();
}

/**
 * Why no shard holds a tensor, where the index knows; undefined where it does not.
 * @param stored names that the tensor may have
 */
export function whyMissing(folder: string, found: WeightFiles, stored: string[]): LowrankError | undefined {
  const absent = absentShards(found);
  const name = stored.find((each) => found.weightMap?.has(each));
  const shard = name === undefined ? undefined : found.weightMap?.get(name);
  if (absent.length > 0 && (shard === undefined || absent.includes(shard))) {
    const total = found.files.length + absent.length;
    return new LowrankError(
      "E_FILE_MISSING",
      `Model folder ${folder} lacks ${absent.length} of ${total} weight files that ${INDEX} names: ` +
        `${absent.join(", ")}. Download them.`,
      join(folder, absent[0]!),
    );
  }
  if (shard === undefined) return undefined;
  return new LowrankError(
    "E_INDEX",
    `${join(folder, INDEX)} says that ${shard} holds tensor ${name}, but neither it nor another shard does. ` +
      "Index and shards are of different models, or a download is old; download the folder again.",
    name,
  );
}

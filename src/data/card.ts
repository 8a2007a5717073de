// The data sets that a hub's repository describes in its card (README.md), which datasets calls configurations.
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { isObject } from "../base/json.js";
import { yaml } from "../base/yaml.js";
import { splitNamed, splitsOf } from "./splits.js";

interface Configuration {
  name: string;
  isDefault: boolean;
  /** data_dir; "" is the whole repository. */
  folder: string;
  /** data_files: patterns by split. */
  patterns: [split: string, pattern: string][];
}

/** Files of each split, by paths within the repository; none where no name tells. */
export type Splits = Map<string, string[]>;

const texts = (value: unknown) => [value].flat().filter((each): each is string => typeof each === "string");

/** A text or a list of texts is the training split; else it is a list of splits with paths. */
function patternsOf(files: unknown): [string, string][] {
  return [files].flat().flatMap((one: unknown): [string, string][] => {
    if (typeof one === "string") return [["train", one]];
    if (!isObject(one) || typeof one.split !== "string") return [];
    const split = splitNamed(one.split);
    return texts(one.path).map((path) => [split, path]);
  });
}

/** The YAML before a card's text. It is empty where it is no YAML, as the card may be of something else. */
function headOf(card: string): Record<string, unknown> {
  const head = /^\uFEFF?---\r?\n(.*?)\r?\n---/s.exec(card)?.[1] ?? "";
  try {
    const value: unknown = yaml().parse(head, { logLevel: "silent" });
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function configurations(card: string): Configuration[] {
  const { configs } = headOf(card);
  return (Array.isArray(configs) ? configs : []).filter(isObject).map((config) => {
    const name = typeof config.config_name === "string" ? config.config_name : "default";
    return {
      name,
      isDefault: config.default === true,
      folder: typeof config.data_dir === "string" ? config.data_dir : "",
      patterns: patternsOf(config.data_files),
    };
  });
}

/** * and ? match within a name, ** at any depth, [ ] one of some characters. */
function pathTest(pattern: string): RegExp {
  const source = pattern.replace(/\*\*\/|\*\*|\*|\?|\[!?[^\]/]+\]|[.+^${}()|[\]\\]/g, (part) => {
    if (part === "**/") return "(?:.*/)?";
    if (part === "**") return ".*";
    if (part === "*") return "[^/]*";
    if (part === "?") return "[^/]";
    return part.length > 1 ? part.replace("[!", "[^").replaceAll("\\", "\\\\") : `\\${part}`;
  });
  return new RegExp(`^${source}$`, "s");
}

/** Without ./ before it and / behind it. */
const plainPath = (path: string) => path.replace(/^(?:\.\/)+|\/+$/g, "");

function splitsFrom({ folder, patterns }: Configuration, paths: string[]): { splits: Splits; all: string[] } {
  const base = plainPath(folder) === "" ? "" : `${plainPath(folder)}/`;
  const within = paths.filter((path) => path.startsWith(base)).map((path) => path.slice(base.length));
  const splits: Splits = patterns.length === 0 ? splitsOf(within) : new Map();
  for (const [split, pattern] of patterns) {
    const test = pathTest(plainPath(pattern));
    const found = within.filter((path) => test.test(path));
    if (found.length > 0) splits.set(split, [...new Set([...(splits.get(split) ?? []), ...found])]);
  }
  const all = patterns.length === 0 ? within : [...splits.values()].flat();
  const whole = (files: string[]) => files.map((path) => base + path);
  return { splits: new Map([...splits].map(([split, files]) => [split, whole(files)])), all: whole(all) };
}

/** A data set in messages: a folder whose files are read, or the name in --dataset_name. */
export interface DataPlace {
  kind: "folder" | "data set";
  name: string;
}

export const titled = ({ kind, name }: DataPlace): string => `${kind === "folder" ? "Folder" : "Data set"} ${name}`;

/**
 * The files that a card describes: of the named configuration, else of the default one, else of the only one.
 * @param card text of README.md
 * @param paths of data files within the folder, sorted
 * @param wanted name of a configuration
 * @returns undefined where the card describes none, or the files that it names are not there
 * @throws LowrankError E_DATA_FILES where there are several and none is the default, as datasets does, or where the wanted one is not there
 */
export function describedSplits(
  card: string,
  paths: string[],
  place: DataPlace,
  wanted?: string,
): { splits: Splits; all: string[] } | undefined {
  const found = configurations(card)
    .map((configuration) => ({ configuration, files: splitsFrom(configuration, paths) }))
    .filter(({ files }) => files.all.length > 0);
  const names = found.map(({ configuration }) => configuration.name);
  if (wanted !== undefined && !(names.length === 0 && wanted === "default")) {
    const named = found.find(({ configuration }) => configuration.name === wanted);
    if (named) return named.files;
    const has = names.length > 0 ? `It has ${names.join(", ")}.` : "Its card (README.md) names none: leave it out.";
    throw new LowrankError("E_DATA_FILES", `${titled(place)} has no configuration ${wanted}. ${has}`, place.name);
  }
  const chosen =
    found.find(({ configuration }) => configuration.isDefault) ??
    found.find(({ configuration }) => found.length === 1 || configuration.name === "default");
  if (chosen || found.length === 0) return chosen?.files;
  const [{ configuration, files }] = found as [(typeof found)[0]];
  const [, pattern = "**"] = configuration.patterns[0] ?? [];
  const example =
    configuration.patterns.length > 0 ? join(configuration.folder, pattern) : files.all[0]!.split("/")[0]!;
  const advice =
    place.kind === "folder"
      ? `Name the folder or the files of one, such as ${join(place.name, example)}.`
      : "Name one with --dataset_config_name.";
  const message = `${titled(place)} holds several data sets, by its README.md: ${names.join(", ")}. ${advice}`;
  throw new LowrankError("E_DATA_FILES", message, place.name);
}

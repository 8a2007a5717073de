// Which files of a repository a run needs.
import { LowrankError } from "../base/errors.js";

/**
 * @param names of all files that there are
 * @param read the content of a file that is there already; undefined before it is
 * @returns names of the files that are needed, as far as is known; required files are named even where they are not
 * there
 * @throws LowrankError E_HUB_FORMAT where the repository has no usable file
 */
export type Wanted = (names: string[], read: (name: string) => string | undefined) => string[];

const SINGLE = "model.safetensors";
const INDEX = `${SINGLE}.index.json`;
const ADAPTER = ["adapter_config.json", "adapter_model.safetensors"];
/** The labels of a classifier, beside its adapter. */
const CLASSIFIER = "classifier_config.json";

const MAIN = "tokenizer.json";
const TOKENIZER = [
  ...[MAIN, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"],
  ...["chat_template.jinja", "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model"],
];
/** Vocabularies that are read where there is no tokenizer.json. */
const VOCABULARIES = [["vocab.txt"], ["vocab.json", "merges.txt"]];

const unusable = (message: string) => new LowrankError("E_HUB_FORMAT", message);

function shardsOf(index: string): string[] {
  try {
    const { weight_map: map } = JSON.parse(index) as { weight_map: Record<string, unknown> };
    const shards = [...new Set(Object.values(map))];
    if (shards.every((name) => typeof name === "string" && /^[^/\\]+\.safetensors$/.test(name)))
      return shards as string[];
  } catch {}
  throw unusable(`its ${INDEX} names no files of weights: use another revision`);
}

/** The shards that an index is likely to name, while it is not there: a whole set of them, under the usual names. */
function likelyShards(names: string[]): string[] {
  const shards = names.filter((name) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name));
  const counts = new Set(shards.map((name) => Number(name.slice(15, 20))));
  return counts.size === 1 && counts.has(shards.length) ? shards : [];
}

function noWeights(names: string[]): LowrankError {
  const has = (pattern: RegExp) => names.find((name) => pattern.test(name));
  const ggufs = names.filter((name) => name.endsWith(".gguf"));
  if (ggufs.length > 0) {
    return unusable(
      `it has several GGUF files (${ggufs.slice(0, 3).join(", ")}, ...): download one and name that file`,
    );
  }
  const pickle = has(/\.(bin|pt|pth)$/);
  if (pickle !== undefined) {
    const script = `AutoModelForCausalLM.from_pretrained(NAME, dtype="auto").save_pretrained(FOLDER)`;
    return unusable(
      `its weights are pickles (${pickle}), which run code when they are read. Use a revision with safetensors (refs/pr/N, where the hub's converter made one), or save it as safetensors in Python with ${script} and name that folder`,
    );
  }
  return unusable(`it has no ${SINGLE} and no ${INDEX}: use a repository with weights`);
}

function weightsOf(names: string[], read: (name: string) => string | undefined): string[] {
  if (names.includes(SINGLE)) return [SINGLE];
  if (names.includes(INDEX)) {
    const index = read(INDEX);
    return [INDEX, ...(index === undefined ? likelyShards(names) : shardsOf(index))];
  }
  throw noWeights(names);
}

const present = (names: string[], some: string[]) => some.filter((name) => names.includes(name));

/** What there is of a tokenizer, with its chat templates. */
const ofTokenizer = (names: string[]) => [
  ...present(names, TOKENIZER),
  ...names.filter((name) => /^additional_chat_templates\/[^/]+\.jinja$/.test(name)),
];

/** Whether a repository holds an adapter, and no model. */
const isAdapter = (names: string[]) => names.includes("adapter_config.json") && !names.includes("config.json");

/** A base model: configuration, weights as safetensors, tokenizer. */
export const modelFiles: Wanted = (names, read) => {
  const isPlain = names.includes(SINGLE) || names.includes(INDEX);
  const gguf = onlyGguf(names);
  if (!isPlain && gguf !== undefined) return [gguf];
  if (isAdapter(names)) {
    throw unusable("it is an adapter: name it with --adapter or --init_adapter, and its base with --base_model");
  }
  const weights = weightsOf(names, read);
  return ["config.json", ...present(names, ["generation_config.json"]), ...ofTokenizer(names), ...weights];
};

/** The only GGUF file of a repository; undefined where it has several or none. */
function onlyGguf(names: string[]): string | undefined {
  const ggufs = names.filter((name) => /^[^/]+\.gguf$/.test(name));
  return ggufs.length === 1 ? ggufs[0] : undefined;
}

const hasTokenizer = (names: string[]) =>
  names.includes(MAIN) || VOCABULARIES.some((files) => files.every((name) => names.includes(name)));

/** A base that is to be used with its own tokenizer. A base without one is refused before its weights come. */
export const withTokenizer =
  (wanted: Wanted): Wanted =>
  (names, read) => {
    const files = wanted(names, read);
    if (hasTokenizer(names) || onlyGguf(files) !== undefined) return files;
    const old = present(names, TOKENIZER);
    const has = old.length > 0 ? ` (it has ${old.join(", ")})` : "";
    throw unusable(`it has no ${MAIN}${has}: name a folder or repository that has one with --tokenizer_name`);
  };

export const tokenizerFiles: Wanted = (names) => {
  const gguf = hasTokenizer(names) ? undefined : onlyGguf(names);
  if (gguf !== undefined) return [gguf];
  return hasTokenizer(names) ? ofTokenizer(names) : [MAIN, ...ofTokenizer(names)];
};

/** Files of a base whose weights are not needed: the configuration, and the tokenizer where there is one. */
export const previewFiles: Wanted = (names) => {
  const gguf = names.includes("config.json") ? undefined : onlyGguf(names);
  return gguf === undefined ? [...present(names, ["config.json"]), ...ofTokenizer(names)] : [gguf];
};

/** The same of a folder of the repository. */
export const within =
  (folder: string, wanted: Wanted): Wanted =>
  (names, read) => {
    const inIt = names.filter((name) => name.startsWith(`${folder}/`)).map((name) => name.slice(folder.length + 1));
    if (inIt.length === 0) throw unusable("the repository has no such folder: check the spelling");
    return wanted(inIt, (name) => read(`${folder}/${name}`)).map((name) => `${folder}/${name}`);
  };

/** Folders that have an adapter. */
const adapterFolders = (names: string[]) =>
  names.filter((name) => name.endsWith(`/${ADAPTER[0]}`)).map((name) => name.slice(0, -ADAPTER[0]!.length - 1));

/** A PEFT adapter. */
export const adapterFiles: Wanted = (names) => {
  const folders = names.includes(ADAPTER[0]!) ? [] : adapterFolders(names);
  if (folders.length > 0) {
    throw unusable(`its adapters are in folders: name one, as hf://OWNER/NAME/${folders[0]} (${folders.join(", ")})`);
  }
  if (names.includes("adapter_model.bin") && !names.includes("adapter_model.safetensors")) {
    throw unusable(
      "its weights are a pickle (adapter_model.bin), which runs code when it is read. Save it as safetensors in Python with PeftModel.save_pretrained and name that folder",
    );
  }
  return [...ADAPTER, ...names.filter((name) => name === CLASSIFIER)];
};

/** An adapter or a model, whichever it is. */
export const adapterOrModelFiles: Wanted = (names, read) => (isAdapter(names) ? adapterFiles : modelFiles)(names, read);

// An adapter that was trained with another tokenizer than its base's, used without naming it: every command says so.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { loadAdapter, Model } from "../../src/index.js";
import { editJson, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";
import { lowrank } from "../support/tiny.js";

const folder = temporaryFolders();
const root = folder();
const [other, adapter, classifier] = [`${root}/tokenizer`, `${root}/run`, `${root}/classifier`];
const base = ["--base_model", tinyBase];
const env = { XDG_CACHE_HOME: folder() };
const texts = writeIn(root, "texts.jsonl", '{"text":"a building of material"}\n{"text":"the people of"}\n');
const rows = writeIn(root, "rows.jsonl", '{"text":"a building","label":"a"}\n{"text":"the people","label":"b"}\n');

async function done(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { code, ...output } = await lowrank(args, { env });
  expect(code, output.stderr).toBe(0);
  return output;
}

beforeAll(async () => {
  cpSync(tinyBase, other, { recursive: true, filter: (path) => !path.endsWith(".safetensors") });
  const { model } = JSON.parse(readFileSync(`${other}/tokenizer.json`, "utf8"));
  const vocab = { ...model.vocab, Ġmaterial: 2041, Ġbuilding: 2040 };
  editJson(`${other}/tokenizer.json`, { model: { ...model, vocab } });
  const small = [
    "--max_steps",
    "1",
    "--max_seq_length",
    "16",
    "--num_samples",
    "0",
    "--eval_strategy",
    "no",
    "--no-merge",
  ];
  const run = ["train", ...base, "--tokenizer_name", other, ...small];
  await done(...run, "--train_file", texts, "--output_dir", adapter);
  await done(...run, "--train_file", rows, "--output_dir", classifier, "--task", "seq-cls");
}, 60_000);

const warningOf = (used: string) =>
  new RegExp(
    `the tokenizer of ${tinyBase} is taken, but the adapter ${used} holds another one, which it was probably trained with: ` +
      `"Ġ(material|building)" is token 204[01] there and token 204[01] here\\. .*${used}"? takes the adapter's\\.$`,
  );

const prompt = ["--prompt", "The", "--max_new_tokens", "2"];
describe.each<[string, string, () => string[]]>([
  ["generate", "run", () => prompt],
  ["generate", "run", () => ["--input_file", texts, "--max_new_tokens", "2"]],
  ["eval", "run", () => ["--validation_file", texts]],
  ["merge", "run", () => ["--output_dir", `${folder()}/merged`]],
  ["export", "run", () => ["--format", "gguf", "--output_file", `${folder()}/merged.gguf`]],
  ["classify", "classifier", () => ["--text", "a building"]],
])("%s of the %s, %o", (name, run, options) => {
  const using = [name, ...base, "--adapter", `${root}/${run}`];
  const warnings = (stderr: string) => stderr.split("\n").filter((line) => line.includes("tokenizer"));

  test("warns once", async () => {
    const { stderr } = await done(...using, ...options());
    expect(warnings(stderr)).toEqual([expect.stringMatching(warningOf(`${root}/${run}`))]);
  });

  test("does not where a tokenizer is named", async () => {
    const named = await done(...using, "--tokenizer_name", `${root}/${run}`, ...options());
    expect(warnings(named.stderr)).toEqual([]);
    const usual = await done(...using, "--tokenizer_name", tinyBase, ...options());
    expect(warnings(usual.stderr)).toEqual([]);
  });
});

test("what the warning names gives the ids of the training: a merged model has the adapter's tokenizer", async () => {
  const output = `${folder()}/merged`;
  await done("merge", ...base, "--adapter", adapter, "--tokenizer_name", adapter, "--output_dir", output);
  const content = (place: string) => readFileSync(`${place}/tokenizer.json`, "utf8");
  expect(content(output) === content(other)).toBe(true);
});

test("an adapter whose tokenizer was saved with padding and truncation is no matter", async () => {
  const saved = `${folder()}/saved`;
  cpSync(adapter, saved, { recursive: true });
  const padding = { strategy: { Fixed: 4 }, direction: "Left", pad_id: 1, pad_type_id: 0, pad_token: "</s>" };
  const truncation = { direction: "Left", max_length: 4, strategy: "LongestFirst", stride: 0 };
  const own = JSON.parse(readFileSync(`${tinyBase}/tokenizer.json`, "utf8"));
  writeFileSync(`${saved}/tokenizer.json`, JSON.stringify({ ...own, padding, truncation }));
  const { stderr } = await done("generate", ...base, "--adapter", saved, ...prompt);
  expect(stderr).toBe("");
});

describe("programs", () => {
  function warnings(): string[] {
    const told: string[] = [];
    const spy = vi.spyOn(process, "emitWarning").mockImplementation((message) => void told.push(String(message)));
    onTestFinished(() => spy.mockRestore());
    return told;
  }

  test("are told by loadAdapter, unless they named a tokenizer", async () => {
    const told = warnings();
    await using model = await Model.open(tinyBase);
    await loadAdapter(model, adapter);
    expect(told).toEqual([expect.stringMatching(warningOf(adapter))]);
    expect(told[0]).toContain(`Model.open with tokenizer: "${adapter}" takes the adapter's.`);
    for (const tokenizer of [adapter, tinyBase]) {
      await using named = await Model.open(tinyBase, { tokenizer });
      await loadAdapter(named, adapter);
    }
    expect(told).toHaveLength(1);
  });

  test("are told by Model.open of a classifier", async () => {
    const told = warnings();
    await using model = await Model.open(classifier, { task: "seq-cls" });
    expect(told).toEqual([expect.stringMatching(warningOf(classifier))]);
    await using named = await Model.open(classifier, { task: "seq-cls", tokenizer: classifier });
    expect([named.folder, told.length]).toEqual([model.folder, 1]);
  });
});

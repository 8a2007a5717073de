// The base that an adapter names, the facts of an adapter, names of the hub, and the model card.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { isAdapterFolder, readAdapter, writeAdapter } from "../../src/checkpoint/index.js";
import { modelCard } from "../../src/checkpoint/model-card.js";
import { run as inspect } from "../../src/commands/inspect.js";
import { commands } from "../../src/config/commands.js";
import { optionsFrom } from "../../src/config/load.js";
import { Tokenizer } from "../../src/data/index.js";
import { openModel } from "../../src/model/index.js";
import { baseOfAdapter, located, type NamedSources } from "../../src/setup/hub.js";
import { editJson, errorOf, temporaryFolders, writeIn } from "../support/folders.js";
import { goldensFolder } from "../support/golden.js";

const folder = temporaryFolders();
const source = join(goldensFolder, "mha-tied");
const read = readAdapter(join(source, "final"), openModel(source));

/** An adapter whose configuration names a base. */
async function naming(base: unknown): Promise<string> {
  const path = join(folder(), "adapter");
  await writeAdapter(path, { ...read, baseModel: "x" });
  editJson(join(path, "adapter_config.json"), { base_model_name_or_path: base });
  return path;
}

describe("the base of an adapter", () => {
  test("is the one that it names, unless another is named", async () => {
    const adapter = await naming(source);
    const place = (o: NamedSources) => located(o, { warn: () => {} });
    expect(await place({ adapter })).toEqual({ adapter, base_model: source, origin: undefined });
    expect((await place({ base_model: "other", adapter })).base_model).toBe("other");
    const error = await errorOf(() => place({}));
    expect(error).toMatchObject({ code: "E_USAGE", where: "base_model" });
  });

  test("is written as an absolute path", async () => {
    const path = join(folder(), "adapter");
    await writeAdapter(path, { ...read, baseModel: "test/goldens/mha-tied" });
    expect(baseOfAdapter(path)).toEqual({ named: join(process.cwd(), "test/goldens/mha-tied") });
  });

  test("is looked for from here, then from the adapter, where its path is relative", async () => {
    expect(baseOfAdapter(await naming("test/goldens/mha-tied"))).toEqual({ named: "test/goldens/mha-tied" });
    const adapter = await naming("../base");
    mkdirSync(join(adapter, "../base"));
    expect(baseOfAdapter(adapter)).toEqual({ named: join(adapter, "../base") });
  });

  test("of the hub is written and read by its name and revision", async () => {
    const path = join(folder(), "adapter");
    const file = join(path, "adapter_config.json");
    await writeAdapter(path, { ...read, baseModel: "/a/snapshot", origin: { name: "org/name", revision: undefined } });
    expect(readFileSync(file, "utf8")).not.toMatch(/snapshot|revision/);
    expect(baseOfAdapter(path)).toEqual({ named: "org/name", revision: undefined });
    await writeAdapter(path, { ...read, baseModel: "/a/snapshot", origin: { name: "org/name", revision: "v1" } });
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
      base_model_name_or_path: "org/name",
      revision: "v1",
    });
    expect(baseOfAdapter(path)).toEqual({ named: "org/name", revision: "v1" });
  });

  test.each([
    [
      "is not there",
      "/nowhere/base",
      "E_FILE_MISSING",
      /names .*, \/nowhere\/base, is not there. Name its folder with --base_model/,
    ],
    [
      "has no owner",
      "SmolLM2-135M",
      "E_FILE_MISSING",
      /SmolLM2-135M is not there. Names of the Hugging Face hub have an owner: OWNER\/SmolLM2-135M.*--base_model/,
    ],
    ["is no text", 5, "E_CONFIG_VALUE", /base_model_name_or_path is the number 5/],
    ["is not named", undefined, "E_CONFIG_VALUE", /base_model_name_or_path is nothing/],
  ])("%s: an error that says what to do", async (_, base, code, message) => {
    const adapter = await naming(base);
    const error = await errorOf(() => baseOfAdapter(adapter));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });
});

test("a name of the hub without its owner is told so, as a base and as a tokenizer", async () => {
  for (const open of [() => openModel("SmolLM2-135M"), () => Tokenizer.open("SmolLM2-135M")]) {
    const error = await errorOf(open);
    expect([error.code, error.message]).toEqual(["E_FILE_MISSING", expect.stringContaining("OWNER/SmolLM2-135M")]);
  }
  for (const path of ["./org/name", "a/b/c", "/org/name", "name", "my-model.gguf"]) {
    expect((await errorOf(() => openModel(path))).message).not.toContain("hub");
  }
});

test("an adapter that is named as a base is told from a model", async () => {
  const adapter = await naming(source);
  expect([isAdapterFolder(adapter), isAdapterFolder(source)]).toEqual([true, false]);
  const error = await errorOf(() => openModel(adapter));
  expect([error.code, error.message]).toEqual(["E_FILE", expect.stringContaining("holds an adapter, not a model")]);
});

describe("inspect tells what an adapter is", () => {
  async function inspected(path: string, json: boolean): Promise<string> {
    let text = "";
    const write = vi.spyOn(process.stdout, "write").mockImplementation((piece) => {
      text += piece;
      return true;
    });
    try {
      await inspect(optionsFrom(commands.inspect, { base_model: path, json }).options);
    } finally {
      write.mockRestore();
    }
    return text;
  }

  test("without its base", async () => {
    const adapter = await naming("/nowhere/base");
    const text = await inspected(adapter, false);
    expect(text).toMatch(/^LoRA adapter: /);
    expect(text).toMatch(/base +\/nowhere\/base \(not there\)/);
    expect(text).toMatch(/target modules +k_proj, o_proj, q_proj, v_proj/);
    const parameters = [...read.tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
    expect(JSON.parse(await inspected(adapter, true))).toMatchObject({
      ...{ adapter, base_model: "/nowhere/base", rank: read.spec.rank, alpha: read.spec.alpha, parameters },
      ...{ tensors: read.tensors.size, dtypes: ["F32"], trained: null },
    });
  });

  test("and how far a checkpoint is", async () => {
    const adapter = await naming(source);
    const history = [
      { step: 2, eval_loss: 3.5 },
      { step: 4, loss: 1 },
      { step: 4, eval_loss: 3.25 },
    ];
    const state = {
      global_step: 4,
      max_steps: 9,
      epoch: 1,
      log_history: history,
      best_metric: 3.25,
      best_global_step: 4,
    };
    writeIn(adapter, "trainer_state.json", JSON.stringify(state));
    const text = await inspected(adapter, false);
    expect(text).toMatch(/^Checkpoint: /);
    expect(text).toMatch(/trained +4 of 9 steps/);
    expect(text).toMatch(/evaluation loss +3.2500/);
    expect(text).toMatch(/damaged +/);
  });
});

describe("the model card", () => {
  const { spec } = read;
  const targets = { modules: spec.targets, peft: ["q_proj"] };

  test("has settings, texts, evaluations and versions", () => {
    const history = [
      { step: 1, loss: 9 },
      { step: 5, eval_loss: 4.5 },
      { step: 9, eval_loss: 4.25 },
    ];
    const settings = { learning_rate: 2e-4, train_file: "hash", max_steps: null, lora_r: 4, packing: false };
    const counts = { training: { texts: 1200, tokens: 34567 }, validation: { texts: 12, tokens: 345 } };
    const dataset = "org/texts";
    const card = modelCard({ spec, targets, base: "/models/base", run: { settings, dataset, ...counts, history } });
    expect(card).toMatch(/^---\ndatasets:\n- org\/texts\nlibrary_name: peft\n/);
    expect(card).toContain(
      "| data set | `org/texts` |\n| training texts | 1,200 texts, 34,567 tokens |\n| validation texts | 12 texts, 345 tokens |",
    );
    expect(card).toContain("| first evaluation loss | 4.5000 at step 5 |\n| last evaluation loss | 4.2500 at step 9 |");
    expect(card).toContain("| learning_rate | 0.0002 |\n| packing | false |");
    expect(card).not.toMatch(/hash|max_steps|lora_r/);
    expect(card).toMatch(/\| versions \| lowrank \d+\.\d+\.\d+, Node.js \d+/);
    expect(card).toContain('AutoPeftModelForCausalLM.from_pretrained("FOLDER OF THIS CARD")');
  });

  test("names a base of the hub as the hub has it", () => {
    const base = "/home/me/.cache/huggingface/hub/models--org--my--name/snapshots/0a1b2c";
    const card = modelCard({ spec, targets, base });
    expect(card).toMatch(/^---\nbase_model: org\/my--name\nlibrary_name: peft\n/);
    expect(card).toContain("# LoRA adapter for org/my--name");
  });

  test("loads a GGUF base by its file", () => {
    const origin = { name: "org/name", revision: "v1" };
    const named = modelCard({ spec, targets, base: "/cache/x.Q8_0.gguf", origin });
    expect(named).toContain('from_pretrained("org/name", gguf_file="x.Q8_0.gguf", revision="v1")');
    expect(named).toMatch(/^---\nbase_model: org\/name\n/);
    expect(named).toContain("| base model | `org/name` |\n| revision | `v1` |");
    expect(named).not.toContain("/cache");
    const card = modelCard({ spec, targets: { ...targets, peft: "a|b" }, base: "/models/x.Q8_0.gguf" });
    expect(card).toContain('from_pretrained("/models", gguf_file="x.Q8_0.gguf")');
    expect(card).toContain("PeftModel.from_pretrained(base,");
    expect(card).toContain("`a\\|b`");
  });
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAdapterConfig } from "../../src/checkpoint/adapter-config.js";
import { readLabels } from "../../src/checkpoint/index.js";
import { type GivenRules, listLinears, matchTargets, openModel, resolveTargets } from "../../src/model/index.js";

import { classifierGoldens } from "../support/classifier.js";
import { errorOf, tinyBase } from "../support/folders.js";
import { goldenNames, goldensFolder } from "../support/golden.js";

const model = openModel(tinyBase);
const all = listLinears(model).map(({ name }) => name);
const only = (pattern: RegExp) => all.filter((name) => pattern.test(name));

test("the default of the family", () => {
  expect(resolveTargets(model, null)).toEqual({
    modules: only(/[qkvo]_proj$/),
    peft: ["k_proj", "o_proj", "q_proj", "v_proj"],
  });
});

test("all-linear is every linear but the head", () => {
  expect(resolveTargets(model, "All-Linear")).toEqual(resolveTargets(model, "all-linear"));
  expect(all.length).toBe(4 * 7);
  expect(all.some((name) => name.includes("lm_head"))).toBe(false);
  expect(resolveTargets(model, "all-linear")).toEqual({
    modules: all,
    peft: ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"],
  });
});

test.each([
  ["v_proj, q_proj", /[qv]_proj$/, ["q_proj", "v_proj"]],
  ["q_proj,q_proj,", /q_proj$/, ["q_proj"]],
  ["self_attn.q_proj", /q_proj$/, ["self_attn.q_proj"]],
  ["layers.1.mlp.up_proj", /layers\.1\.mlp\.up_proj/, ["layers.1.mlp.up_proj"]],
  ["model.layers.3.self_attn.o_proj", /3.*o_proj/, ["model.layers.3.self_attn.o_proj"]],
])("list %s", (targets, modules, peft) => {
  expect(resolveTargets(model, targets)).toEqual({ modules: only(modules), peft });
});

test.each([
  [".*\\.(q|v)_proj", /[qv]_proj$/],
  ["model\\.layers\\.[0-1]\\..*", /layers\.[01]\./],
  [".*q_proj|.*up_proj", /(q|up)_proj$/],
  ["(?P<all>.*down_proj)", /down_proj$/],
  [".*\\.layers\\.\\d{1,2}\\.mlp\\..*", /mlp/],
])("regular expression %s", (targets, modules) => {
  expect(resolveTargets(model, targets)).toEqual({ modules: only(modules), peft: targets });
});

describe("what matches nothing", () => {
  test.each([
    ["q_prj", /"q_prj" matches no linear of the model \(did you mean "q_proj"\?\)/],
    ["q_proj,vproj", /"vproj" matches no linear/],
    ["proj", /"proj" matches no linear/],
    // PEFT would adapt them.
    ["q_proj,lm_head", /matches lm_head, the head, which gets no adapter: modules_to_save trains it whole/],
    ["embed_tokens", /matches model\.embed_tokens, the embedding, which gets no adapter: modules_to_save trains/],
    [".*(q_proj|embed_tokens)", /matches model\.embed_tokens, the embedding/],
    // A full match, not a search.
    ["(q|v)_proj", /the regular expression \(q\|v\)_proj matches none of the linears, such as model.layers.0/],
    [".*q_pro", /regular expression/],
    ["", /an empty list matches none/],
    ["*_proj", /\*_proj is neither a comma list of names nor a regular expression: .*Nothing to repeat/],
    ["(q_proj", /neither a comma list of names nor a regular expression: .*Unterminated group/],
  ])("'%s'", async (targets, message) => {
    const error = await errorOf(() => resolveTargets(model, targets));
    expect(error).toMatchObject({ code: "E_TARGET", where: "target_modules" });
    expect(error.message).toMatch(message);
  });

  test("the candidates are listed", async () => {
    const { message } = await errorOf(() => resolveTargets(model, "nope"));
    expect(message).toContain("q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj (or all-linear)");
  });
});

test.each([
  [
    "opt-350m",
    undefined,
    "embed_positions",
    /embed_positions, the embedding of positions, .*: leave it out, or name it in/,
  ],
  ["bert-pairs", "seq-cls", "query,classifier", /"classifier" is a layer of the classifier, which trains whole/],
  ["distilbert-q", "seq-cls", "pre_classifier", /"pre_classifier" is a layer of the classifier/],
])("%s: %s %s is refused", async (name, task, targets, message) => {
  const folder = task ? join(classifierGoldens, name) : join(goldensFolder, name);
  const base = openModel(folder, undefined, task ? readLabels(join(folder, "initial")) : undefined);
  const error = await errorOf(() => resolveTargets(base, targets));
  expect([error.code, error.message]).toEqual(["E_TARGET", expect.stringMatching(message)]);
});

test("linears outside of the blocks", () => {
  const opt = openModel(join(goldensFolder, "opt-350m"));
  const { modules } = resolveTargets(opt, "all-linear");
  expect([modules[0], modules.at(-1), modules.length]).toEqual([
    "model.decoder.project_in",
    "model.decoder.project_out",
    2 + 2 * 6,
  ]);
  expect(resolveTargets(opt, "q_proj,project_out", { layers_to_transform: [1] }).modules).toEqual([
    "model.decoder.layers.1.self_attn.q_proj",
  ]);
  const folder = join(classifierGoldens, "bert-pairs");
  const bert = openModel(folder, undefined, readLabels(join(folder, "initial")));
  expect(resolveTargets(bert, "dense").modules.at(-1)).toBe("bert.pooler.dense");
});

test("adapter_config.json: a list may name what the model lacks, a lone name is a regular expression", async () => {
  expect(matchTargets(model, ["q_proj", "query_key_value"]).modules).toEqual(only(/q_proj$/));
  expect((await errorOf(() => matchTargets(model, "q_proj"))).code).toBe("E_TARGET");
  expect((await errorOf(() => matchTargets(model, ["query_key_value"]))).code).toBe("E_TARGET");
});

describe("rules beside target_modules", () => {
  const rules = (targets: string | null, given: GivenRules) => resolveTargets(model, targets, given);

  test("modules are left out by names or a regular expression of whole names", () => {
    expect(rules(null, { exclude_modules: "k_proj, layers.0.self_attn.v_proj" }).modules).toEqual(
      only(/[qvo]_proj$/).filter((name) => !name.includes("layers.0.self_attn.v_proj")),
    );
    expect(rules("all-linear", { exclude_modules: "lm_head" }).modules).toEqual(all);
    expect(rules(".*", { exclude_modules: ".*(lm_head|embed_tokens)" }).modules).toEqual(all);
    expect(rules("all-linear", { exclude_modules: ".*mlp.*|.*k_proj" })).toEqual({
      modules: only(/[qvo]_proj$/),
      peft: ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"],
      rules: { exclude_modules: ".*mlp.*|.*k_proj" },
    });
  });

  test("layers", () => {
    expect(rules("q_proj", { layers_to_transform: [1, 3] }).modules).toEqual(only(/layers\.[13]\..*q_proj/));
    expect(rules("q_proj", { layers_to_transform: [2], layers_pattern: ["h", "layers"] }).modules).toEqual(
      only(/layers\.2\..*q_proj/),
    );
  });

  test("ranks and alphas of single modules, by the first key that matches the end of a name", () => {
    const found = rules("q_proj,k_proj", {
      rank_pattern: { "layers\\.1\\.self_attn\\.(q|k)_proj": 2, q_proj: 16 },
      alpha_pattern: { ".*k_proj": 32 },
    });
    expect(found.ranks).toEqual({
      ...Object.fromEntries(only(/q_proj$/).map((name) => [name, 16])),
      ...Object.fromEntries(only(/layers\.1\..*(q|k)_proj$/).map((name) => [name, 2])),
    });
    expect(found.alphas).toEqual(Object.fromEntries(only(/k_proj$/).map((name) => [name, 32])));
    // PEFT sorts the keys when it saves, and then another key would be the first.
    expect(found.rules!.rank_pattern).toEqual(found.ranks);
    expect(found.rules!.alpha_pattern).toEqual({ ".*k_proj": 32 });
    const reversed = Object.fromEntries(Object.entries(found.rules!.rank_pattern!).reverse());
    expect(rules("q_proj,k_proj", { rank_pattern: reversed }).ranks).toEqual(found.ranks);
  });

  test.each<[string | null, GivenRules, RegExp]>([
    [
      null,
      { exclude_modules: "k_prj" },
      /exclude_modules: "k_prj" matches no linear of the model \(did you mean "k_proj"/,
    ],
    ["q_proj", { exclude_modules: ["q_proj"] }, /exclude_modules: every module of target_modules is excluded/],
    ["q_proj", { layers_to_transform: [1, 4] }, /layers_to_transform: the model has no layer 4, it has 4, from 0 on/],
    ["q_proj", { layers_to_transform: [1], layers_pattern: ["h"] }, /the model has no layer 1 behind h/],
    ["q_proj", { layers_pattern: ["h"] }, /layers_pattern: it needs layers_to_transform/],
    [".*q_proj", { layers_to_transform: [1] }, /layers_to_transform: it needs target_modules as a list/],
    ["q_proj", { rank_pattern: { v_proj: 4 } }, /rank_pattern: "v_proj" matches none of the modules with an adapter/],
    ["q_proj", { alpha_pattern: { "(q_proj": 4 } }, /alpha_pattern: \(q_proj is no regular expression/],
  ])("%s %j", async (targets, given, message) => {
    const error = await errorOf(() => rules(targets, given));
    expect(error.code).toBe("E_TARGET");
    expect(error.message).toMatch(message);
  });
});

// The tensors in PEFT's own file say which modules it matched.
test.each(goldenNames())("PEFT's adapter of %s", (name) => {
  const folder = join(goldensFolder, name);
  const config = JSON.parse(readFileSync(join(folder, "final/adapter_config.json"), "utf8"));
  const { rules, targetModules } = parseAdapterConfig(config, "adapter_config.json");
  const header = readFileSync(join(folder, "final/adapter_model.safetensors")).toString("latin1");
  const tensors = [...header.matchAll(/"base_model\.model\.([\w.]+)\.lora_A\.weight"/g)].map(([, module]) => module);
  const { modules } = matchTargets(openModel(folder), targetModules, "target_modules", rules);
  expect([...modules].sort()).toEqual(tensors.sort());
});

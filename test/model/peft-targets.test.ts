// Modules, ranks and counts of parameters that a request gets here and in the real PEFT, of every family. Runs where LOWRANK_PEER_PYTHON names a Python
// that has it.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readLabels } from "../../src/checkpoint/index.js";
import { defaultsOf, trainRows } from "../../src/config/index.js";
import { listLinears, openModel } from "../../src/model/index.js";
import { familyOf } from "../../src/model/spec.js";
import type { ModelSource } from "../../src/native/index.js";
import { initialAdapter, type LoraOptions } from "../../src/setup/adapter.js";
import { parameterCounts } from "../../src/setup/memory/plan.js";
import { classifierGoldens, classifierNames } from "../support/classifier.js";
import { familiesTable } from "../support/families-table.js";
import { temporaryFolders } from "../support/folders.js";
import { goldenNames, goldensFolder } from "../support/golden.js";
import { peerPython, printedByPython } from "../support/python.js";

const { python, reason } = peerPython("torch transformers peft");
if (reason) console.log(`model/peft-targets.test.ts skipped: ${reason}`);

type Request = Partial<Record<keyof LoraOptions, unknown>> & { peft?: Record<string, unknown> };
type Found =
  | { error: string }
  | { modules: Record<string, [rank: number, scale: number]>; embeddings: string[]; trainable: number; all: number };

interface Golden {
  title: string;
  folder: string;
  task: "CAUSAL_LM" | "SEQ_CLS";
  model: ModelSource;
}

/** Of each family, and of blocks of another shape, one golden for each task. */
function goldens(): Golden[] {
  const all = [
    ...goldenNames().map((name) => ({ title: name, folder: join(goldensFolder, name), task: "CAUSAL_LM" as const })),
    ...classifierNames().map((name) => ({
      title: `classifier ${name}`,
      folder: join(classifierGoldens, name),
      task: "SEQ_CLS" as const,
    })),
  ];
  const seen = new Set<string>();
  return all.flatMap(({ title, folder, task }) => {
    const labels = task === "SEQ_CLS" ? readLabels(join(folder, "initial")) : undefined;
    const model = openModel(folder, undefined, labels);
    const shape = listLinears(model).map(({ name }) => name);
    const key = JSON.stringify([task, model.config.modelType, shape]);
    return seen.has(key) || !seen.add(key) ? [] : [{ title, folder, task, model }];
  });
}

const lastPart = (name: string) => name.slice(name.lastIndexOf(".") + 1);
const inRegex = (name: string) => name.replaceAll(".", "\\.");

/** Requests that mean the same here and in PEFT, by what they are about. */
function requestsFor(model: ModelSource): Record<string, Request> {
  const all = listLinears(model).map(({ name }) => name);
  const block = all.filter((name) => name.startsWith(`${model.spec.layerPrefix}1.`));
  const names = [...new Set(block.map(lastPart))];
  const [first, last] = [names[0]!, names.at(-1)!];
  const own = block.at(-1)!.slice(model.spec.layerPrefix.length + 2);
  const pattern = model.spec.layerPrefix.split(".").at(-2)!;
  const moduleOf = (tensor: string) => tensor.replace(/\.weight$/, "");
  const tables = [model.spec.embedding, ...(model.spec.classifier ? [] : [model.spec.head])].map(moduleOf);
  return {
    "the family's default": { target_modules: familyOf(model.config).targets.join() },
    "all-linear": { target_modules: "all-linear" },
    "a list": { target_modules: `${first},${last}` },
    "a part of a whole name": { target_modules: `${own},${block[0]}` },
    "a regular expression": { target_modules: `.*\\.1\\..*(${first}|${last})` },
    "a regular expression of all linears' names": {
      target_modules: `.*(${[...new Set(all.map(lastPart))].join("|")})`,
    },
    "modules left out by a list": { target_modules: "all-linear", exclude_modules: `${first},${own}` },
    "modules left out by a regular expression": {
      target_modules: "all-linear",
      exclude_modules: `.*\\.0\\..*|.*${inRegex(own)}`,
    },
    "the head left out": { target_modules: "all-linear", exclude_modules: lastPart(tables.at(-1)!) },
    // PEFT refuses it beside all-linear.
    "one layer": { target_modules: [...new Set(all.map(lastPart))].join(), layers_to_transform: [1] },
    "one layer behind a pattern": {
      target_modules: `${first},${last}`,
      layers_to_transform: [0],
      layers_pattern: [pattern],
    },
    "ranks and alphas": {
      target_modules: "all-linear",
      rank_pattern: { [last]: 5, [`.*\\.0\\..*${first}`]: 2 },
      alpha_pattern: { [inRegex(own)]: 7 },
    },
    ...Object.fromEntries(
      tables.map((table) => [`${table} trains whole`, { target_modules: first, modules_to_save: [lastPart(table)] }]),
    ),
    "biases of B": { target_modules: "all-linear", lora_bias: true },
    DoRA: { target_modules: "all-linear", use_dora: true },
  };
}

/** Here lists are texts with commas. */
function forPeft({ target_modules, exclude_modules, ...rest }: Request): Record<string, unknown> {
  const listed = (text: unknown) =>
    typeof text === "string" && /^[\w.,-]*$/.test(text) && text !== "all-linear" ? text.split(",") : text;
  return {
    r: 3,
    lora_alpha: 6,
    ...rest,
    target_modules: listed(target_modules),
    ...(exclude_modules !== undefined && { exclude_modules: listed(exclude_modules) }),
  };
}

function adaptedHere(model: ModelSource, request: Request): Found {
  const { task: _, ...defaults } = defaultsOf(trainRows);
  const options = { ...defaults, lora_r: 3, lora_alpha: 6, seed: 1, ...request } as LoraOptions;
  const { spec } = initialAdapter(options, new Set(), model);
  const modules = Object.fromEntries(
    spec.targets.map((name): [string, [number, number]] => {
      const rank = spec.ranks?.[name] ?? spec.rank;
      return [name, [rank, (spec.alphas?.[name] ?? spec.alpha) / rank]];
    }),
  );
  const { trainable, all } = parameterCounts(model, spec);
  return { modules, embeddings: [], trainable, all };
}

describe.skipIf(reason !== undefined)("the same request here and in PEFT", () => {
  const scratch = temporaryFolders();
  const cases = reason === undefined ? goldens() : [];
  let answers: { defaults: string[] | null; found: Found[] }[] = [];

  beforeAll(async () => {
    const file = join(scratch(), "requests.json");
    const asked = cases.map(({ folder, task, model }) => {
      return { folder, task, requests: Object.values(requestsFor(model)).map(forPeft) };
    });
    writeFileSync(file, JSON.stringify(asked));
    const script = readFileSync(new URL("peft_targets.py", import.meta.url), "utf8");
    const printed = await printedByPython(python, script, { ...process.env, LOWRANK_REQUESTS: file });
    answers = JSON.parse(printed.slice(printed.lastIndexOf("\n") + 1));
  }, 300_000);

  test.each(cases.map((each, i) => [each.title, each, i] as const))("%s", (_, { model }, i) => {
    const { ofPeft } = familiesTable.find(({ types }) => types.includes(model.config.modelType))!;
    const { defaults, found } = answers[i]!;
    if (ofPeft === true) expect(familyOf(model.config).targets.toSorted()).toEqual(defaults!.toSorted());
    if (ofPeft === false) expect(defaults).toBeNull();
    const requests = requestsFor(model);
    const about = Object.keys(requests);
    // PEFT cannot train DistilBERT's pre_classifier whole where it is a target, too. Here it is no target.
    const isPeftsOwn = (each: Found) => "error" in each && /modules_to_save cannot be applied/.test(each.error);
    const compared = about.filter((_, r) => model.config.modelType !== "distilbert" || !isPeftsOwn(found[r]!));
    expect(compared.length).toBeGreaterThan(6);
    expect(Object.fromEntries(compared.map((each) => [each, adaptedHere(model, requests[each]!)]))).toEqual(
      Object.fromEntries(compared.map((each) => [each, found[about.indexOf(each)]])),
    );
  });
});

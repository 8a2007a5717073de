// Folders that say one thing and store another: the value that transformers 5.24 computes with counts.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writeMerged, writeQuantized } from "../../src/checkpoint/index.js";
import { Tokenizer } from "../../src/data/index.js";
import { openModel, readSafetensorsHeader, writeSafetensors } from "../../src/model/index.js";
import { Engine, type ModelSource } from "../../src/native/index.js";
import { quantizedSource } from "../../src/setup/base.js";
import { copyGolden, editJson, errorOf, rewriteTensors, temporaryFolders, tinyBase } from "../support/folders.js";
import { goldenNames, goldensFolder } from "../support/golden.js";

const folder = temporaryFolders();
const golden = (name: string) => copyGolden(name, folder());
const HEAD = "lm_head.weight";
const EMBEDDING = "model.embed_tokens.weight";

async function logitsOf(model: ModelSource): Promise<Float32Array> {
  await using engine = await Engine.create(model, null, {
    precision: "fp32",
    threads: 1,
    maxTokens: 8,
    maxSequence: 8,
    training: false,
  });
  return engine.logits({ sequences: [{ inputIds: Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6) }] });
}

/** A model, and the warnings while it was opened. */
function opened(path: string): { model: ModelSource; warnings: string[] } {
  const warnings: string[] = [];
  return { model: openModel(path, (message) => warnings.push(message)), warnings };
}

/** The untied golden, whose configuration says that it is tied. */
function saysTied(): string {
  const path = golden("gqa-untied");
  editJson(join(path, "config.json"), { tie_word_embeddings: true });
  return path;
}

describe("a head under a configuration that says it is the embedding", () => {
  test("counts where it differs", async () => {
    const { model, warnings } = opened(saysTied());
    expect(model.config.tieWordEmbeddings).toBe(false);
    expect(warnings).toEqual([expect.stringMatching(/tie_word_embeddings is true, but .* differs from .* is used/)]);
    expect(await logitsOf(model)).toEqual(await logitsOf(openModel(join(goldensFolder, "gqa-untied"))));
  });

  test.each(["F32", "BF16"])("is the embedding where a copy of it is stored (%s)", async (dtype) => {
    const path = golden("mha-tied");
    let embedding = Buffer.alloc(0);
    const shape = [110, 32];
    // Numbers of 8 bits of fraction, so that bf16 holds them, too.
    const round = (bytes: Uint8Array) => {
      const words = new Uint32Array(new Uint8Array(bytes).buffer).map((word) => word & 0xffff0000);
      return Buffer.from(words.buffer);
    };
    await rewriteTensors(path, ({ name, data }) => {
      if (name === EMBEDDING) embedding = round(data);
      return name === EMBEDDING ? { data: embedding } : {};
    });
    const alone = await logitsOf(openModel(path));
    const upper = Buffer.from(new Uint16Array(new Uint8Array(embedding).buffer).filter((_, i) => i % 2 === 1).buffer);
    const data = dtype === "F32" ? embedding : upper;
    await rewriteTensors(path, () => ({}), undefined, [{ name: HEAD, dtype, shape, bytes: data.length, data }]);
    const { model, warnings } = opened(path);
    expect([model.config.tieWordEmbeddings, warnings]).toEqual([true, []]);
    expect(await logitsOf(model)).toEqual(alone);

    // One number of the last row.
    data[data.length - 1]! ^= 1;
    await rewriteTensors(path, ({ name }) => (name === HEAD ? { data } : {}));
    expect(opened(path).model.config.tieWordEmbeddings).toBe(false);
  });

  test("is the embedding, too, where that is not stored", async () => {
    const path = golden("mha-tied");
    await rewriteTensors(path, ({ name }) => (name === EMBEDDING ? { name: HEAD } : {}));
    expect(await logitsOf(openModel(path))).toEqual(await logitsOf(openModel(join(goldensFolder, "mha-tied"))));
  });

  test("of another shape is an error", async () => {
    const path = golden("mha-tied");
    const head = { name: HEAD, dtype: "F32", shape: [100, 32], bytes: 12_800, data: new Uint8Array(12_800) };
    await rewriteTensors(path, () => ({}), undefined, [head]);
    const error = await errorOf(() => openModel(path));
    expect(error).toMatchObject({ code: "E_TENSOR_SHAPE", where: HEAD });
  });

  test("stays beside the embedding where the model is merged or quantised", async () => {
    const path = saysTied();
    const { model } = opened(path);
    const tokenizer = await Tokenizer.open(tinyBase);
    const module = "model.layers.0.self_attn.q_proj";
    const spec = { rank: 2, alpha: 4, dropout: 0, useRslora: false, targets: [module], seed: 1 };
    const shape = { precision: "fp32", threads: 1, maxTokens: 1, maxSequence: 1, training: false } as const;
    const merged = join(folder(), "merged");
    await using engine = await Engine.create(model, spec, shape);
    await writeMerged({ engine, model, modules: [module], output: merged, tokenizer });
    expect(await logitsOf(opened(merged).model)).toEqual(await logitsOf(model));

    const four = { use_4bit: true, use_8bit: false, double_quant: false, quantize_skip: undefined };
    const quantized = quantizedSource(model, four, () => {});
    const output = join(folder(), "quantized");
    await writeQuantized({ model: quantized, output, tokenizer, threads: 1 });
    const again = opened(output);
    expect([again.model.config.tieWordEmbeddings, again.warnings]).toEqual([false, []]);
    expect(await logitsOf(again.model)).toEqual(await logitsOf(quantized));
  });
});

describe("names of tensors", () => {
  const bare = (path: string) => rewriteTensors(path, ({ name }) => ({ name: name.replace(/^model\./, "") }));

  test("without the model's prefix, with and without a head", async () => {
    for (const name of ["mha-tied", "gqa-untied"]) {
      const path = golden(name);
      await bare(path);
      expect(await logitsOf(openModel(path))).toEqual(await logitsOf(openModel(join(goldensFolder, name))));
    }
  });

  test("without the prefix and without the head that they need", async () => {
    const path = golden("mha-tied");
    await bare(path);
    editJson(join(path, "config.json"), { tie_word_embeddings: undefined });
    const error = await errorOf(() => openModel(path));
    expect(error).toMatchObject({ code: "E_TENSOR_MISSING", where: HEAD });
    expect(error.message).toMatch(/it was saved without a head.* set tie_word_embeddings to true/);
  });

  test("a merged model keeps the base's names", async () => {
    const path = golden("mha-tied");
    await bare(path);
    const model = openModel(path);
    const tokenizer = await Tokenizer.open(tinyBase);
    const module = "model.layers.1.mlp.up_proj";
    const spec = { rank: 2, alpha: 4, dropout: 0, useRslora: false, targets: [module], seed: 1 };
    const shape = { precision: "fp32", threads: 1, maxTokens: 1, maxSequence: 1, training: false } as const;
    await using engine = await Engine.create(model, spec, shape);
    const ones = [...(await engine.adapter())].map(
      ([name, { shape, data }]) => [name, { shape, data: data.fill(1) }] as const,
    );
    await engine.setAdapter(new Map(ones));
    const output = join(folder(), "merged");
    await writeMerged({ engine, model, modules: [module], output, tokenizer });
    const [before, after] = [path, output].map((each) => {
      const file = join(each, "model.safetensors");
      const bytes = readFileSync(file);
      return new Map(
        readSafetensorsHeader(file).tensors.map(({ name, begin, end }) => [name, bytes.subarray(begin, end)]),
      );
    });
    const changed = [...after!].filter(([name, bytes]) => !bytes.equals(before!.get(name)!)).map(([name]) => name);
    expect(changed).toEqual(["layers.1.mlp.up_proj.weight"]);
  });

  test.each(["module.", "_orig_mod.", "base_model.model."])(
    "with %s before them are an error that says so",
    async (prefix) => {
      const path = golden("mha-tied");
      await rewriteTensors(path, ({ name }) => ({ name: prefix + name }));
      const error = await errorOf(() => openModel(path));
      expect(error.code).toBe("E_TENSOR_MISSING");
      expect(error.message).toContain(`The files have ${prefix}model.embed_tokens.weight`);
    },
  );

  test("of a model within PEFT are an error that says so", async () => {
    const path = golden("mha-tied");
    await rewriteTensors(path, ({ name }) => ({ name: name.replace("q_proj.weight", "q_proj.base_layer.weight") }));
    expect((await errorOf(() => openModel(path))).message).toContain(
      "The files have model.layers.0.self_attn.q_proj.base_layer.weight",
    );
  });
});

describe("an index of shards", () => {
  const shardOf = (name: string) => `model-0000${name.includes("layers.0") ? 1 : 2}-of-00002.safetensors`;

  /** A sharded folder with a changed index. */
  async function sharded(edit: (map: Record<string, string>) => void): Promise<string> {
    const path = golden("mha-tied");
    await rewriteTensors(path, () => ({}), shardOf);
    const file = join(path, "model.safetensors.index.json");
    const index = JSON.parse(readFileSync(file, "utf8"));
    edit(index.weight_map);
    writeFileSync(file, JSON.stringify(index));
    return path;
  }

  const places: [string, (map: Record<string, string>) => void][] = [
    [
      "that no shard holds",
      (map) => {
        map["model.layers.0.self_attn.rotary_emb.inv_freq"] = shardOf("layers.0");
      },
    ],
    [
      "in another shard",
      (map) => {
        for (const name of Object.keys(map)) map[name] = shardOf(map[name]!.includes("00001") ? "" : "layers.0");
      },
    ],
    [
      "that it does not list",
      (map) => {
        for (const name of Object.keys(map)) if (name.includes("down_proj")) delete map[name];
      },
    ],
    [
      "of a shard that it does not list",
      (map) => {
        for (const name of Object.keys(map)) if (name.includes("layers.0")) delete map[name];
      },
    ],
  ];
  test.each(places)("with tensors %s", async (_, edit) => {
    const { model, warnings } = opened(await sharded(edit));
    expect(warnings).toEqual([]);
    expect(await logitsOf(model)).toEqual(await logitsOf(openModel(join(goldensFolder, "mha-tied"))));
  });

  test("names a shard that nothing needs and that is not there", async () => {
    const path = await sharded((map) => {
      map.other = "model-00003-of-00003.safetensors";
    });
    const { model, warnings } = opened(path);
    expect(warnings).toEqual([expect.stringContaining("does not need them: model-00003-of-00003.safetensors")]);
    expect(await logitsOf(model)).toEqual(await logitsOf(openModel(join(goldensFolder, "mha-tied"))));
  });

  test("weights and biases that config.json has no place for are a warning", async () => {
    const path = golden("mha-tied");
    const tensor = (name: string, shape: number[]) => {
      const data = new Uint8Array(4 * shape.reduce((a, b) => a * b, 1));
      return { name: `model.layers.1.${name}`, dtype: "F32", shape, bytes: data.length, data };
    };
    const more = [
      tensor("self_attn.q_proj.bias", [32]),
      tensor("self_attn.q_norm.weight", [8]),
      tensor("self_attn.rotary_emb.inv_freq", [4]),
    ];
    await rewriteTensors(path, (each) => each, undefined, more);
    const { model, warnings } = opened(path);
    expect(warnings).toEqual([
      expect.stringMatching(
        /config.json the model has no model.layers.1.self_attn.q_\w+\.\w+ and 1 more: left out, as in/,
      ),
    ]);
    expect(await logitsOf(model)).toEqual(await logitsOf(openModel(join(goldensFolder, "mha-tied"))));
  });

  test.each(goldenNames())("%s: every tensor has its place", (name) => {
    expect(opened(join(goldensFolder, name)).warnings).toEqual([]);
  });

  test("passes over shards of another model", async () => {
    const path = await sharded(() => {});
    const stale = join(path, "model-00001-of-00009.safetensors");
    writeFileSync(stale, "no safetensors");
    expect(openModel(path).tensors.every(({ file }) => file !== stale)).toBe(true);
  });

  test("missing beside shards is an error with advice", async () => {
    const path = await sharded(() => {});
    rmSync(join(path, "model.safetensors.index.json"));
    expect((await errorOf(() => openModel(path))).message).toContain("download the index that belongs to the shards");
  });

  test("of two tensors of one name takes its own", async () => {
    const path = await sharded(() => {});
    const norm = { name: "model.norm.weight", dtype: "F32", shape: [32], bytes: 128, data: new Uint8Array(128) };
    const file = join(path, shardOf("layers.0"));
    const bytes = readFileSync(file);
    const rest = readSafetensorsHeader(file).tensors.map(({ begin, end, ...tensor }) => {
      return { ...tensor, bytes: end - begin, data: bytes.subarray(begin, end) };
    });
    await writeSafetensors(file, [...rest, norm], { format: "pt" });
    expect(await logitsOf(openModel(path))).toEqual(await logitsOf(openModel(join(goldensFolder, "mha-tied"))));
  });
});

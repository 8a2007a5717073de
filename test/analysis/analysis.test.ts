// Spectra and directions of updates: against their definition, against numpy's SVD of the formed update, and the advice on ranks.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  advise,
  analyze,
  baseNorms,
  compare,
  heatMap,
  intruders,
  measure,
  smallerRanks,
  spectrum,
  svd,
  updateSvd,
} from "../../src/analysis/index.js";
import { type Factors, readAdapter, readFactors } from "../../src/checkpoint/index.js";
import { run } from "../../src/commands/analyze.js";
import { run as compressCommand } from "../../src/commands/compress.js";
import { run as evalCommand } from "../../src/commands/eval.js";
import { type Command, commands, optionsFrom } from "../../src/config/index.js";
import { openModel } from "../../src/model/index.js";
import { errorOf, temporaryFolders } from "../support/folders.js";
import { randomAdapter } from "../support/random-adapter.js";
import { root, someTexts } from "../support/tiny.js";

const folder = temporaryFolders();
const golden = join(root, "test/goldens/rslora-all-linear");

/** Numbers between -1 and 1, the same for the same seed. */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

function factors(
  seed: number,
  {
    out,
    inputs,
    rank,
    module = "layers.0.q_proj",
    scale = 0.5,
  }: Partial<Factors> & { out: number; inputs: number; rank: number },
): Factors {
  const next = numbers(seed);
  // Directions of falling size.
  const a = Float32Array.from({ length: rank * inputs }, (_, i) => next() * 2 ** -Math.floor(i / inputs));
  return { module, a, b: Float32Array.from({ length: out * rank }, next), out, inputs, rank, scale };
}

/** scale B A, row after row. */
function formed({ a, b, out, inputs, rank, scale }: Factors): number[] {
  return Array.from({ length: out * inputs }, (_, i) => {
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += b[Math.floor(i / inputs) * rank + r]! * a[r * inputs + (i % inputs)]!;
    return scale * sum;
  });
}

const RUN = { analyze: run, compress: compressCommand, eval: evalCommand };

const SHAPES = [
  { out: 40, inputs: 24, rank: 8 },
  { out: 6, inputs: 90, rank: 16 },
  { out: 1, inputs: 5, rank: 1 },
  { out: 12, inputs: 4, rank: 6 },
];

describe("the singular value decomposition of an update", () => {
  test.each(SHAPES)("is that of the formed product: $out x $inputs, rank $rank", (shape) => {
    const update = factors(7, shape);
    const { values, inputs, outputs } = updateSvd(update);
    const k = Math.min(shape.out, shape.inputs, shape.rank);
    const [u, v] = [outputs(k), inputs(k)];
    expect([u.rows, u.cols, v.rows, v.cols, values.length]).toEqual([shape.out, k, shape.inputs, k, k]);
    expect([...values]).toEqual([...values].sort((x, y) => y - x));
    const expected = formed(update);
    for (const [i, element] of expected.entries()) {
      let sum = 0;
      for (let j = 0; j < k; j++)
        sum +=
          values[j]! * u.data[j * u.rows + Math.floor(i / shape.inputs)]! * v.data[j * v.rows + (i % shape.inputs)]!;
      expect(Math.abs(sum - element)).toBeLessThan(1e-13 * values[0]!);
    }
    for (const side of [u, v]) {
      for (let i = 0; i < k; i++) {
        for (let j = 0; j <= i; j++) {
          let product = 0;
          for (let row = 0; row < side.rows; row++)
            product += side.data[i * side.rows + row]! * side.data[j * side.rows + row]!;
          expect(Math.abs(product - (i === j ? 1 : 0))).toBeLessThan(1e-12);
        }
      }
    }
  });

  test.each(SHAPES)("without directions, too: $out x $inputs, rank $rank", (shape) => {
    const update = factors(7, shape);
    const [alone, wanted] = [spectrum(update), measure(updateSvd(update).values)];
    for (const [key, value] of Object.entries(wanted))
      expect(Math.abs(alone[key as keyof typeof alone] - value), key).toBeLessThan(1e-12 * value);
  });

  test("of zeros, and of equal columns", () => {
    expect([...svd({ rows: 3, cols: 2, data: new Float64Array(6) }).values]).toEqual([0, 0]);
    const { values } = svd({ rows: 2, cols: 2, data: Float64Array.from([3, 4, 3, 4]) });
    expect(values[0]).toBeCloseTo(Math.sqrt(50), 12);
    expect(values[1]).toBeLessThan(1e-14);
  });

  const python = process.env.LOWRANK_PEER_PYTHON ?? "";
  if (!existsSync(python)) console.log("skipped: numpy's SVD (LOWRANK_PEER_PYTHON is not set)");
  test.skipIf(!existsSync(python))("has numpy's singular values of the formed update", () => {
    const updates = SHAPES.map((shape, i) => factors(i, shape));
    const file = join(folder(), "updates.json");
    writeFileSync(file, JSON.stringify(updates.map((update, i) => ({ ...SHAPES[i], update: formed(update) }))));
    const script = `import json, sys, numpy
print(json.dumps([numpy.linalg.svd(numpy.array(e["update"]).reshape(e["out"], e["inputs"]), compute_uv=False).tolist() for e in json.load(open(sys.argv[1]))]))`;
    const found: number[][] = JSON.parse(execFileSync(python, ["-c", script, file], { encoding: "utf8" }));
    for (const [i, update] of updates.entries()) {
      for (const [j, value] of updateSvd(update).values.entries()) {
        expect(Math.abs(value - found[i]![j]!)).toBeLessThan(1e-12 * found[i]![0]!);
      }
    }
  });
});

describe("intruder directions", () => {
  const python = process.env.LOWRANK_PEER_PYTHON ?? "";
  if (!existsSync(python)) console.log("skipped: intruder directions by numpy (LOWRANK_PEER_PYTHON is not set)");
  test.skipIf(!existsSync(python)).each([
    ["wide", 24, 40],
    ["tall", 40, 24],
    ["square", 33, 33],
  ] as const)("are those of numpy's SVD: %s", (_, out, inputs) => {
    const update = factors(3, { out, inputs, rank: 4 });
    // A spectrum that falls, so that the update of the size of the middle makes new leading directions.
    const weight = Float32Array.from({ length: out * inputs }, (_, i) => Math.sin(1 + i * i) / (1 + (i % inputs)));
    const strong = { ...update, scale: 0.3 * update.scale };
    const file = join(folder(), "weights.json");
    writeFileSync(file, JSON.stringify({ out, inputs, weight: [...weight], update: formed(strong) }));
    const script = `import json, sys, numpy
e = json.load(open(sys.argv[1]))
w = numpy.array(e["weight"]).reshape(e["out"], e["inputs"])
u = numpy.linalg.svd(w, full_matrices=False)[0]
t = numpy.linalg.svd((w + numpy.array(e["update"]).reshape(w.shape)).astype(numpy.float32).astype(float), full_matrices=False)[0]
print(json.dumps(abs(u.T @ t[:, :10]).max(axis=0).tolist()))`;
    const wanted: number[] = JSON.parse(execFileSync(python, ["-c", script, file], { encoding: "utf8" }));
    const found = intruders(weight, strong, 10, 0.7);
    for (const [i, cosine] of found.cosines.entries())
      expect(Math.abs(cosine - wanted[i]!), String(i)).toBeLessThan(1e-6);
    expect(found.intruders).toBe(wanted.filter((cosine) => cosine < 0.7).length);
  });

  test("of an update in a direction of its own: one, and none without an update", () => {
    // The base reads and writes the first coordinates alone.
    const [out, inputs] = [6, 9];
    const weight = new Float32Array(out * inputs);
    for (let i = 0; i < 5; i++) weight[i * inputs + i] = 5 - i;
    const at = (n: number, length: number) => Float32Array.from({ length }, (_, i) => (i === n ? 1 : 0));
    const update = { module: "m", out, inputs, rank: 1, a: at(7, inputs), b: at(5, out), scale: 4.5 };
    expect(intruders(weight, update, 3, 0.5)).toEqual({ module: "m", cosines: [1, 0, 1], intruders: 1 });
    expect(intruders(weight, { ...update, scale: 0 }, 3, 0.5).intruders).toBe(0);
  });
});

test.each(["patterns", "rslora-all-linear"])("factors have the scale of the training: %s", (name) => {
  const base = join(root, "test/goldens", name);
  const { spec } = readAdapter(join(base, "final"), openModel(base));
  const found = readFactors(join(base, "final"));
  expect(found.map(({ module }) => module).sort()).toEqual([...spec.targets].sort());
  for (const { module, scale, rank } of found) {
    const r = spec.ranks?.[module] ?? spec.rank;
    expect(rank).toBe(r);
    expect(scale).toBeCloseTo((spec.alphas?.[module] ?? spec.alpha) / (spec.useRslora ? Math.sqrt(r) : r), 12);
  }
});

test.each(["goldens/dora", "goldens-classify/llama-single"])(
  "what is no factor is left out, where it may be: %s",
  async (name) => {
    const adapter = join(root, "test", name, "final");
    const found = readFactors(adapter, "left out");
    expect(found.length).toBeGreaterThan(0);
    for (const factors of found) {
      const norm = Math.hypot(...formed(factors));
      expect(Math.abs(measure(updateSvd(factors).values).norm - norm)).toBeLessThanOrEqual(1e-12 * norm);
    }
    const error = await errorOf(() => readFactors(adapter));
    expect(error).toMatchObject({ code: "E_ADAPTER" });
    expect(error.message).toContain("is no factor of a LoRA adapter");
  },
);

test("measures of a spectrum", () => {
  const { norm, effectiveRank, stableRank, rank90, rank99 } = measure(Float64Array.from([2, 2, 2, 2, 0]));
  expect([norm, stableRank, rank90, rank99]).toEqual([4, 4, 4, 4]);
  expect(effectiveRank).toBeCloseTo(4, 12);
  expect(measure(Float64Array.from([10, 3, 0.1]))).toMatchObject({ rank90: 1, rank99: 2 });
  expect(measure(new Float64Array(3))).toEqual({ norm: 0, effectiveRank: 0, stableRank: 0, rank90: 0, rank99: 0 });
});

describe("the advice on ranks", () => {
  /** Layers whose update has this number of equal directions, of rank 16. */
  const layers = (...directions: number[]) =>
    analyze(
      directions.map((count, layer) => {
        const a = Float32Array.from({ length: 16 * 20 }, (_, i) => Number(i % 20 === Math.floor(i / 20)));
        const b = Float32Array.from({ length: 30 * 16 }, (_, i) =>
          Number(i % 16 === Math.floor(i / 16) && i % 16 < count),
        );
        return { module: `model.layers.${layer}.q_proj`, a, b, out: 30, inputs: 20, rank: 16, scale: 2 };
      }),
    )[0]!;

  test("is the adapter's own rank where no loss was measured, whatever the spectra are", () => {
    for (const [kinds, directions] of [
      [[layers(1, 3)], "3 directions hold 90 % of the update of every layer, of 16"],
      [[layers(1)], "1 direction holds 90 % of its update, of 16"],
      [[layers(16)], "15 directions hold 90 % of its update, of 16"],
    ] as const) {
      const { rank, reason, sweepRanks, kinds: found } = advise(kinds, false);
      expect(found).toEqual([{ kind: "q_proj", rank: 16, alpha: 32, reason: directions }]);
      expect(rank).toBe(16);
      expect(reason).toContain("do not tell the loss at another rank");
      expect(sweepRanks).toEqual([4, 8, 16, 32, 64]);
    }
  });

  const measured = (...losses: number[]) => ({
    ...{ evalLoss: 2, tolerance: 0.005 },
    cuts: losses.map((evalLoss, i) => ({ rank: 8 / 2 ** i, evalLoss })),
  });

  test("is the smallest rank that the measured loss bears out, at the same scale", () => {
    const advice = advise([layers(1, 3)], false, measured(1.99, 2.01, 2.011));
    expect(advice).toMatchObject({ rank: 4, kinds: [{ rank: 4, alpha: 8 }], sweepRanks: [2, 4, 8, 16, 32, 64] });
    expect(advice.reason).toBe(
      "eval_loss is 2.0000 at rank 16; cut to rank 4 2.0100, within 0.5 % of it; cut to rank 2 2.0110, not within 0.5 % of it",
    );
    expect(advise([layers(3)], true, measured(2, 2, 2, 2))).toMatchObject({
      ...{ rank: 1, kinds: [{ rank: 1, alpha: 2 }], sweepRanks: [1, 2, 4, 8, 16, 32, 64] },
      reason: "eval_loss is 2.0000 at rank 16; cut to rank 1 2.0000, within 0.5 % of it",
    });
  });

  test("is the adapter's own rank where each cut loses more, though one direction holds the update", () => {
    const advice = advise([layers(1)], false, measured(2.02));
    expect(advice).toMatchObject({ rank: 16, kinds: [{ rank: 16 }], sweepRanks: [8, 16, 32, 64] });
    expect(advice.reason).toBe("eval_loss is 2.0000 at rank 16; cut to rank 8 2.0200, not within 0.5 % of it");
  });

  test("takes no rank beyond a kind's own, and cuts to powers of two", () => {
    const few = { ...layers(2), modules: layers(2).modules.map((module) => ({ ...module, rank: 2 })) };
    expect(advise([layers(3), few], false, measured(2, 2.1)).kinds.map(({ rank }) => rank)).toEqual([8, 2]);
    expect([smallerRanks(16), smallerRanks(12), smallerRanks(1)]).toEqual([[8, 4, 2, 1], [8, 4, 2, 1], []]);
  });
});

describe("adapters side by side", () => {
  const shape = { out: 30, inputs: 20, rank: 4 };

  test("an adapter is itself, whatever its factors are", () => {
    const one = factors(3, shape);
    const negative = { ...one, a: one.a.map((x) => -2 * x), b: one.b.map((x) => x / 2) };
    for (const [other, cosine] of [
      [one, 1],
      [negative, -1],
    ] as const) {
      const [found] = compare([one], [other]);
      expect(found!.cosine).toBeCloseTo(cosine, 12);
      expect([found!.inputs, found!.outputs].map((x) => x.toFixed(10))).toEqual(["1.0000000000", "1.0000000000"]);
    }
  });

  test("updates that read other inputs have nothing in common there", () => {
    const half = (seed: number, upper: boolean) => {
      const update = factors(seed, shape);
      return { ...update, a: update.a.map((x, i) => (i % 20 < 10 === upper ? x : 0)) };
    };
    const [found] = compare([half(1, true)], [half(2, false)]);
    expect(found!.inputs).toBeLessThan(1e-24);
    expect(Math.abs(found!.cosine)).toBeLessThan(1e-12);
    expect(found!.outputs).toBeGreaterThan(0);
  });

  test("modules of other names and shapes are left out", () => {
    const one = factors(3, shape);
    expect(compare([one], [{ ...one, module: "layers.1.q_proj" }, factors(3, { ...shape, out: 31 })])).toEqual([]);
  });

  test("layers with the same update overlap wholly", () => {
    const layer = (n: number, seed: number) =>
      factors(seed, { ...shape, module: `model.layers.${n}.self_attn.q_proj` });
    const [same] = analyze([layer(0, 5), layer(1, 5)]);
    expect(same).toMatchObject({ kind: "self_attn.q_proj", modules: [{ layer: 0 }, { layer: 1 }] });
    expect(same!.layerOverlap!.inputs).toBeCloseTo(1, 12);
    expect(analyze([layer(0, 5), layer(1, 6)])[0]!.layerOverlap!.inputs).toBeLessThan(0.9);
    expect(analyze([layer(0, 5)])[0]!.layerOverlap).toBeNull();
  });
});

describe("the command", () => {
  afterEach(() => vi.restoreAllMocks());
  const options = {
    adapter: join(golden, "final"),
    compare_with: undefined,
    base_model: undefined,
    revision: undefined,
    picture: undefined,
    json: false,
  };
  async function printed(more: Partial<typeof options> | Record<string, unknown>): Promise<string> {
    let text = "";
    vi.spyOn(process.stdout, "write").mockImplementation((part) => {
      text += String(part);
      return true;
    });
    await run({ ...options, ...more } as Parameters<typeof run>[0], new Set());
    return text;
  }

  test("tells an adapter of PEFT, as text and as JSON", async () => {
    const found = JSON.parse(await printed({ json: true }));
    const all = readFactors(options.adapter);
    const module = found.kinds[0].modules[0];
    const factors = all.find((each) => each.module === module.module)!;
    expect(module.norm).toBeCloseTo(Math.hypot(...formed(factors)), 10);
    expect(module.singular_values).toHaveLength(factors.rank);
    vi.restoreAllMocks();
    const text = await printed({});
    for (const { kind } of found.kinds) expect(text).toContain(kind);
    expect(found.advice.kinds).toHaveLength(found.kinds.length);
    for (const { reason } of [found.advice, ...found.advice.kinds]) expect(text).toContain(reason);
    expect(text).toContain(`lowrank sweep --ranks ${found.advice.sweep_ranks.join()}`);
  });

  test("takes norms of the base, and writes the picture", async () => {
    const base = golden;
    const picture = join(folder(), "ranks.svg");
    const found = JSON.parse(await printed({ json: true, base_model: base, picture }));
    const model = openModel(base);
    const modules = readFactors(options.adapter).map((each) => each.module);
    const norms = baseNorms(model, modules);
    for (const { modules: list } of found.kinds) {
      for (const module of list) expect(module.relative_norm).toBeCloseTo(module.norm / norms.get(module.module)!, 12);
    }
    const svg = readFileSync(picture, "utf8");
    expect(svg.match(/<title>/g)).toHaveLength(2 * modules.length);
    expect(svg).toContain("Norm of the update over the weight's norm");
  });

  test("compares with another adapter, and says where they have nothing in common", async () => {
    const { comparison } = JSON.parse(await printed({ json: true, compare_with: options.adapter }));
    for (const { cosine } of comparison) expect(cosine).toBeCloseTo(1, 10);
    await expect(
      run(
        { ...options, compare_with: join(root, "test/goldens/odd-sizes-f16/final") } as Parameters<typeof run>[0],
        new Set(),
      ),
    ).rejects.toMatchObject({
      code: "E_ADAPTER",
    });
  });
});

test("losses of smaller ranks are those of the adapters that compress writes", { timeout: 60_000 }, async () => {
  const adapter = await randomAdapter(folder(), { r: 4 }, 0.2);
  const texts = someTexts(join(folder(), "texts.jsonl"), 4);
  const smaller = join(folder(), "smaller");
  const given = { validation_file: texts, threads: 1, max_seq_length: 32 };
  const told = async (command: keyof typeof RUN, more: Record<string, unknown>) => {
    let text = "";
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    vi.spyOn(process.stdout, "write").mockImplementation((part) => {
      text += String(part);
      return true;
    });
    try {
      const { options } = optionsFrom(commands[command] as Command, { adapter, ...given, ...more });
      await (RUN[command] as (o: unknown) => Promise<void>)(options);
    } finally {
      vi.restoreAllMocks();
    }
    return text;
  };
  const said = await told("compress", { max_rank: 2, output_dir: smaller });
  const lossOf = async (of: string) => JSON.parse(await told("eval", { adapter: of, json: true })).eval_loss;
  const [before, after] = [await lossOf(adapter), await lossOf(smaller)];
  expect(Math.abs(before - after)).toBeGreaterThan(1e-3);
  const [, cut, whole] = /eval_loss ([\d.]+) in place of ([\d.]+) \(/.exec(said)!;
  expect(Math.abs(Number(cut) - after)).toBeLessThan(1e-4);
  expect(Math.abs(Number(whole) - before)).toBeLessThan(1e-4);
  const { advice } = JSON.parse(await told("analyze", { json: true }));
  expect(advice.measured.eval_loss).toBe(before);
  expect(advice.measured.cuts[0].rank).toBe(2);
  expect(Math.abs(advice.measured.cuts[0].eval_loss - after)).toBeLessThan(1e-5);
});

test("a picture's names are escaped", () => {
  const svg = heatMap('a<b>"&', analyze([factors(1, { ...SHAPES[0]!, module: "x<y" })]));
  expect(svg).toContain("a&lt;b>&quot;&amp;");
  expect(svg).not.toContain("x<y");
});

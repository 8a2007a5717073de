// Adapters of smaller rank, and several as one: against their definitions, and against PEFT where it is there.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { COMBINATIONS, type Combination, combine, compress, measure, updateSvd } from "../../src/analysis/index.js";
import { type Factors, readAdapter, readFactors, writeFactors } from "../../src/checkpoint/index.js";
import { run as combineCommand } from "../../src/commands/combine.js";
import { run as compressCommand } from "../../src/commands/compress.js";
import { commands, optionsFrom, rows } from "../../src/config/index.js";
import { generator } from "../../src/data/index.js";
import { openModel } from "../../src/model/index.js";
import { temporaryFolders } from "../support/folders.js";
import { root } from "../support/tiny.js";

const folder = temporaryFolders();
const base = join(root, "test/goldens/patterns");
const adapters = [join(base, "final"), join(base, "initial")];
const all = readFactors(adapters[0]!);

/** Every element of scale B A. */
function formed({ a, b, out, inputs, rank, scale }: Factors): Float64Array {
  return Float64Array.from({ length: out * inputs }, (_, i) => {
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += b[Math.floor(i / inputs) * rank + r]! * a[r * inputs + (i % inputs)]!;
    return scale * sum;
  });
}

const distance = (x: Float64Array, y: Float64Array) =>
  Math.sqrt(x.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0));

describe("compressing", () => {
  test("to a rank leaves the largest singular values, and no more", () => {
    const { factors, energy } = compress(all, { rank: 2 });
    let [left, whole] = [0, 0];
    for (const [i, smaller] of factors.entries()) {
      const { values } = updateSvd(all[i]!);
      expect(smaller.rank).toBe(Math.min(2, values.length));
      const lost = measure(values.slice(2)).norm;
      expect(Math.abs(distance(formed(smaller), formed(all[i]!)) - lost)).toBeLessThan(1e-6 * values[0]!);
      left += measure(values.slice(0, 2)).norm ** 2;
      whole += measure(values).norm ** 2;
    }
    expect(energy).toBeCloseTo(left / whole, 12);
  });

  test("to an energy and to a number of bytes", () => {
    for (const [i, { rank }] of compress(all, { energy: 0.9 }).factors.entries()) {
      expect(rank).toBe(measure(updateSvd(all[i]!).values).rank90);
    }
    const bytes = (factors: readonly Factors[]) =>
      factors.reduce((sum, { a, b }) => sum + a.byteLength + b.byteLength, 0);
    const least = bytes(compress(all, { rank: 1 }).factors);
    for (const most of [least, Math.floor(bytes(all) * 0.7), bytes(all)]) {
      const { factors, energy } = compress(all, { bytes: most });
      expect(bytes(factors)).toBeLessThanOrEqual(most);
      if (most === bytes(all)) expect(energy).toBeCloseTo(1, 10);
    }
  });

  test("an update of zeros keeps a rank of zeros", () => {
    const zero = { ...all[0]!, b: new Float32Array(all[0]!.b.length) };
    const { factors, energy } = compress([zero], { energy: 0.99 });
    expect(energy).toBe(1);
    expect(factors[0]!.rank).toBe(1);
    expect(factors[0]!.a.every((x) => x === 0) && factors[0]!.b.every((x) => x === 0)).toBe(true);
  });
});

test("written factors are read as an adapter of this model, with the same updates", async () => {
  const target = join(folder(), "smaller");
  const { factors } = compress(all, { energy: 0.99 });
  expect(new Set(factors.map(({ rank }) => rank)).size).toBeGreaterThan(1);
  await writeFactors(target, factors, [adapters[0]!]);
  const read = readFactors(target);
  for (const [i, { scale, a }] of read.entries()) {
    expect(scale).toBe(1);
    expect(a).toEqual(factors[i]!.a);
  }
  const { spec } = readAdapter(target, openModel(base));
  expect([...spec.targets].sort()).toEqual(all.map(({ module }) => module).sort());
});

test("written factors have all chat templates of the first adapter", async () => {
  const [source, target] = [join(folder(), "adapter"), join(folder(), "smaller")];
  cpSync(adapters[0]!, source, { recursive: true });
  const others = join(source, "additional_chat_templates");
  mkdirSync(others);
  writeFileSync(join(source, "chat_template.jinja"), "usual");
  writeFileSync(join(others, "tool_use.jinja"), "tools");
  await writeFactors(target, all, [source]);
  const read = (name: string) => readFileSync(join(target, name), "utf8");
  expect([read("chat_template.jinja"), read("additional_chat_templates/tool_use.jinja")]).toEqual(["usual", "tools"]);
});

describe("combining", () => {
  const options = { weights: [0.5, -1.5], density: 0.6, majority: "total" as const, random: generator(1, 2, 3) };
  const both = adapters.map((each) => readFactors(each));

  test.each(["cat", "svd"] as const)("%s is the weighted sum", (combination) => {
    const found = combine(both, { ...options, combination, rank: 64 });
    for (const [i, factors] of found.entries()) {
      const [x, y] = both.map((each) => formed(each[i]!));
      const expected = x!.map((value, at) => 0.5 * value - 1.5 * y![at]!);
      expect(distance(formed(factors), expected)).toBeLessThan(1e-6 * (1 + measure(expected).norm));
    }
  });

  test("written, rsLoRA's adapters are the weighted sum, too, in any order", async () => {
    const rslora = join(folder(), "rslora");
    cpSync(adapters[0]!, rslora, { recursive: true });
    const file = join(rslora, "adapter_config.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), use_rslora: true }));
    for (const sources of [
      [rslora, adapters[1]!],
      [adapters[1]!, rslora],
    ]) {
      const parts = sources.map((source) => readFactors(source));
      const target = join(folder(), "sum");
      await writeFactors(target, combine(parts, { ...options, combination: "cat" }), sources);
      for (const [i, factors] of readFactors(target).entries()) {
        const [x, y] = parts.map((each) => formed(each[i]!));
        const expected = x!.map((value, at) => 0.5 * value - 1.5 * y![at]!);
        expect(distance(formed(factors), expected)).toBeLessThan(1e-6 * (1 + measure(expected).norm));
      }
    }
  });

  test("dropped elements are the same for the same seed, and as many as the density says", () => {
    const one = [[{ ...all[0]!, a: new Float32Array(all[0]!.a.length).fill(1) }]];
    const dare = (seed: number) =>
      combine(one, { ...options, weights: [1], combination: "dare_linear", random: generator(seed, 0, 0) })[0]!.a;
    expect(dare(1)).toEqual(dare(1));
    expect(dare(1)).not.toEqual(dare(2));
    const kept = dare(1).filter((x) => x !== 0);
    expect(Math.abs(kept.length / all[0]!.a.length - 0.6)).toBeLessThan(3 * Math.sqrt(0.24 / all[0]!.a.length));
    for (const x of kept) expect(x).toBeCloseTo(Math.sqrt(all[0]!.scale) / 0.6, 5);
  });

  test("adapters of different ranks or bases are refused where they cannot be combined", () => {
    const other = [{ ...compress(all, { rank: 1 }).factors[0]! }];
    expect(() => combine([all, other], { ...options, combination: "linear" })).toThrow(/needs adapters of one rank/);
    expect(() => combine([all, [{ ...all[0]!, out: 1 }]], { ...options, combination: "cat" })).toThrow(
      /different base models/,
    );
  });

  test("the table of options names the combinations", () => {
    expect([...rows.combination_type.values!].sort()).toEqual([...COMBINATIONS].sort());
  });

  const python = process.env.LOWRANK_PEER_PYTHON;
  if (!python) console.log("skipped: PEFT's add_weighted_adapter (LOWRANK_PEER_PYTHON is not set)");
  test.skipIf(!python)("equals PEFT's add_weighted_adapter, and PEFT loads it", { timeout: 300_000 }, async () => {
    // Of one rank, and none of them zero.
    const ours = join(root, "test/goldens/gqa-untied");
    const sources = ["initial", "final"].map((name) => join(ours, name));
    const work = folder();
    const kinds: [Combination, "total" | "frequency"][] = [
      ...["cat", "svd", "linear", "magnitude_prune"].map((kind): [Combination, "total"] => [
        kind as Combination,
        "total",
      ]),
      ["ties", "total"],
      ["ties", "frequency"],
    ];
    for (const [kind, majority] of kinds) {
      const factors = combine(
        sources.map((each) => readFactors(each)),
        { ...options, combination: kind, majority },
      );
      await writeFactors(join(work, `${kind}-${majority}`), factors, sources);
    }
    const script = join(root, "test/analysis/peft_combine.py");
    const input = JSON.stringify({
      base: ours,
      sources,
      work,
      kinds,
      weights: options.weights,
      density: options.density,
    });
    const found: Record<string, number> = JSON.parse(
      execFileSync(python!, [script], { input, encoding: "utf8" }).trim().split("\n").at(-1)!,
    );
    expect(Object.keys(found)).toHaveLength(kinds.length);
    for (const [kind, error] of Object.entries(found)) expect(error, kind).toBeLessThan(1e-5);
  });
});

describe("the commands", () => {
  const shared = { overwrite_output_dir: false };
  const silent = () => vi.spyOn(process.stdout, "write").mockImplementation(() => true);

  test("compress takes one size", async () => {
    const print = silent();
    const given = { adapter: adapters[0]!, output_dir: join(folder(), "out") };
    const o = optionsFrom(commands.compress, given).options;
    for (const wrong of [{}, { max_rank: 1, energy: 0.5 }]) {
      await expect(compressCommand({ ...o, ...wrong }, new Set())).rejects.toMatchObject({
        code: "E_USAGE",
        message: expect.stringContaining("--energy"),
      });
    }
    await compressCommand({ ...o, max_rank: 1 }, new Set());
    expect(print.mock.calls.join("")).toMatch(/rank 1, .* % of the updates' energy/);
    expect(JSON.parse(readFileSync(join(o.output_dir, "adapter_config.json"), "utf8"))).toMatchObject({
      r: 1,
      lora_alpha: 1,
    });
    await expect(compressCommand({ ...o, max_rank: 1 }, new Set())).rejects.toMatchObject({ code: "E_OUTPUT_EXISTS" });
    print.mockRestore();
  });

  test("combine takes a weight for each adapter, or none", async () => {
    const print = silent();
    const o = {
      ...shared,
      ...{ adapters, weights: undefined, combination_type: "svd" as const, svd_rank: 64, density: 0.5 },
      ...{ majority_sign_method: "total" as const, seed: 0, output_dir: join(folder(), "out") },
    };
    await expect(combineCommand({ ...o, weights: [1] })).rejects.toMatchObject({ code: "E_USAGE" });
    await expect(combineCommand({ ...o, combination_type: "cat" as const })).rejects.toMatchObject({
      code: "E_USAGE",
      where: "svd_rank",
    });
    await combineCommand(o);
    const [x, y] = adapters.map((each) => formed(readFactors(each)[0]!));
    const expected = x!.map((value, i) => (value + y![i]!) / 2);
    expect(distance(formed(readFactors(o.output_dir)[0]!), expected)).toBeLessThan(1e-5 * measure(expected).norm);
    print.mockRestore();
  });
});

// The report of runs: its page, its plots and its facts.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { expect, test } from "vitest";
import { analyze, heatMap } from "../../src/analysis/index.js";
import { readFactors } from "../../src/checkpoint/index.js";
import { Model, type RunEvent, Trainer, type TrainerOptions } from "../../src/index.js";
import { type Line, type Run, type RunFacts, readFacts, readRun } from "../../src/report/facts.js";
import { writeReport } from "../../src/report/files.js";
import { page } from "../../src/report/page.js";
import { inPage } from "../../src/report/plot.js";
import { plotsOf } from "../../src/report/plots.js";
import { rankPictures } from "../../src/report/rank-pictures.js";
import { type Point, pointsOf, smoothed, thinned } from "../../src/report/series.js";
import { short } from "../../src/report/text.js";
import { FIXED } from "../../src/report/theme.js";
import { temporaryFolders, tinyBase } from "../support/folders.js";
import { randomAdapter } from "../support/random-adapter.js";
import { longRun } from "../support/runs.js";
import { jsonLines, lowrank } from "../support/tiny.js";

const newFolder = temporaryFolders();

test("a long curve is thinned, and keeps its ends and every outlier", () => {
  const points = pointsOf(longRun(20_000), "loss");
  const few = thinned(points);
  expect(few.length).toBeLessThan(1700);
  expect([few[0], few.at(-1)]).toEqual([points[0], points.at(-1)]);
  expect(few).toContainEqual([7778, 9]);
  expect(few).toContainEqual([15556, 0.5]);
  expect(few.map(([step]) => step)).toEqual([...few.map(([step]) => step)].sort((a, b) => a - b));
  const line = points.slice(0, 50);
  expect(thinned(line)).toEqual(line);
});

const named = { id: "plot", title: "Plot", summary: "A plot." };
const textsOf = (svg: string) =>
  [...svg.matchAll(/<text x="([^"]+)"[^>]*>([^<]*)</g)].map(([, x, words]) => ({ x: Number(x), words: words! }));

test("numbers beside an axis differ, however close they are", () => {
  const points: Point[] = [
    [4, 3.6723],
    [8, 3.6747],
  ];
  const curves = [{ name: "evaluation", colour: 0, look: "dots", points }] as const;
  const svg = inPage({ ...named, kind: "curves", x: "rank", y: "loss", curves: [...curves] }, FIXED);
  const values = textsOf(svg)
    .filter(({ words }) => words.startsWith("3.67"))
    .map(({ words }) => words);
  expect(values.length).toBeGreaterThan(3);
  expect(new Set(values).size).toBe(values.length);
});

test("names of rows fit the picture; a long one keeps its end", () => {
  const rows = ["sweep-r4, planned in all", `${"a-long-folder-of-runs-".repeat(3)}r64, peak`].map((name) => ({
    name,
    parts: [{ name, value: 1, colour: 0 }],
  }));
  const found = textsOf(inPage({ ...named, kind: "bars", x: "bytes", rows, shown: String }, FIXED));
  const [first, second] = found.filter(({ words }) => /planned in all|peak/.test(words));
  expect(first!.words).toBe("sweep-r4, planned in all");
  expect(second!.words).toMatch(/^….*r64, peak$/);
  // A character of 12 px is at most about 7 wide on average; the names end at x.
  for (const { x, words } of [first!, second!]) expect(7 * words.length).toBeLessThanOrEqual(x);
});

test("a smoothed curve is the mean around each point, without numbers that are none", () => {
  const points: Point[] = Array.from({ length: 101 }, (_, i) => [i, i % 2 ? 1 : 3]);
  const mean = smoothed([...points.slice(0, 50), [49.5, Number.NaN], ...points.slice(50)])!;
  expect(mean.every(([, y]) => Math.abs(y - 2) < 0.35)).toBe(true);
  expect([mean[0]![0], mean.at(-1)![0]]).toEqual([0, 100]);
  expect(smoothed(points.slice(0, 10))).toBeNull();
});

test.each<[number, string]>([
  [0, "0"],
  [12_345.6, "12,346"],
  [0.012345, "0.01235"],
  [0.00001, "1e-5"],
  [0.00025, "2.5e-4"],
  [Number.NaN, "NaN"],
])("%d is shown as %s", (value, shown) => {
  expect(short(value)).toBe(shown);
});

const run = (name: string, lines: Line[], facts: RunFacts | null = null) => ({
  folder: "/nowhere",
  name,
  facts,
  lines,
});

test("20,000 steps are a page of less than 5 MB, and one path a curve", () => {
  const runs = [run("long", longRun(20_000))];
  const begin = performance.now();
  const html = page(runs, plotsOf(runs));
  expect(performance.now() - begin).toBeLessThan(2000);
  expect(html.length).toBeLessThan(1_000_000);
  expect(html.match(/<circle/g) ?? []).toHaveLength(0);
});

test("the page loads nothing, and shows names and texts as they are", () => {
  const name = `<b>&"odd"'`;
  const html = page([run(name, longRun(60))], plotsOf([run(name, longRun(60))]));
  expect(html).not.toMatch(/<b>|(src|href)="(?!#|data:)/);
  expect(html).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
  expect(html).toContain("&lt;b&gt;&amp;&quot;odd&quot;&#39;");
  expect(html).toContain("default-src 'none'");
});

test("a number that is none leaves a gap, and a curve of nothing else is still a page", () => {
  const lines = [1, 2, 3].map((step): Line => ({ step, loss: step === 2 ? null : step, grad_norm: null }));
  const plots = plotsOf([run("gaps", lines)]);
  expect(plots.map(({ id }) => id)).toEqual(["loss", "gradient-norm"]);
  expect(page([run("gaps", lines)], plots)).not.toMatch(/NaN|Infinity/);
});

const TEXTS = Array.from({ length: 8 }, (_, i) => `Take ${i} eggs and a pound of flour, and stir${" it".repeat(i)}.`);
const SMALL = { lora_r: 2, max_seq_length: 16, per_device_train_batch_size: 4, logging_steps: 1, eval_steps: 2 };

async function trainTiny(options: TrainerOptions): Promise<RunEvent[]> {
  await using model = await Model.open(tinyBase, { threads: 1 });
  await using trainer = await Trainer.create(model, { train: TEXTS, ...SMALL, ...options });
  const events: RunEvent[] = [];
  for await (const event of trainer.run()) events.push(event);
  return events;
}

test("a run writes its facts, its page and its plots; a run that goes on adds to them", async () => {
  const output_dir = newFolder();
  const events = await trainTiny({
    output_dir,
    max_steps: 3,
    samples: true,
    sample_base: true,
    overwrite_output_dir: true,
  });
  const facts = readFacts(output_dir)!;
  expect(facts).toMatchObject({ state: "finished", steps: 3, config: { lora_r: 2, max_seq_length: 16 } });
  const { training, validation } = facts.data;
  expect(training.texts + validation.texts).toBe(8);
  expect(training.counts.reduce((sum, n) => sum + n, 0)).toBe(training.texts);
  expect(training.longest).toBeLessThanOrEqual(16);
  const sampled = events.flatMap((event) => (event.type === "sample" ? [event.sample] : []));
  expect(sampled.length).toBeGreaterThan(0);
  expect(facts.samples).toEqual(
    sampled.map(({ prompt, base_text, text }) => ({ prompt, before: base_text, after: text })),
  );
  expect(sampled.every(({ base_text }) => base_text !== undefined)).toBe(true);
  expect(Object.keys(facts.seconds).sort()).toEqual(["evaluating", "preparing", "samples", "saving", "training"]);
  expect(facts.peak_memory_bytes).toBeGreaterThan(2 ** 20);
  const files = readdirSync(join(output_dir, "report_files"));
  for (const plot of ["loss", "learning-rate", "gradient-norm", "speed", "memory", "time", "lengths", "ranks"]) {
    expect(readFileSync(join(output_dir, "report_files", `${plot}.svg`), "utf8")).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    expect([...readFileSync(join(output_dir, "report_files", `${plot}.png`)).subarray(1, 4)]).toEqual([
      ...Buffer.from("PNG"),
    ]);
  }
  expect(files.filter((name) => name.endsWith(".tmp"))).toEqual([]);
  await trainTiny({ output_dir, max_steps: 4, resume: "auto" });
  const later = readFacts(output_dir)!;
  expect(later.started).toBe(facts.started);
  expect(later.seconds.training).toBeGreaterThan(facts.seconds.training!);
  expect(later.samples).toEqual(facts.samples);
  expect(readFileSync(join(output_dir, "report.html"), "utf8")).toContain("<dd>4</dd>");
  const again = await trainTiny({ output_dir, max_steps: 5, samples: true, sample_base: true, resume: "auto" });
  expect(readFacts(output_dir)!.samples).toHaveLength(again.filter(({ type }) => type === "sample").length);
});

test("truncated texts are counted, and no text that just fits", async () => {
  const [cut, whole] = [newFolder(), newFolder()];
  await trainTiny({ output_dir: whole, max_steps: 1, max_seq_length: 200, overwrite_output_dir: true });
  const { edges, counts, longest } = readFacts(whole)!.data.training;
  // A bin for each length.
  expect(edges[1]! - edges[0]!).toBe(1);
  const limit = longest - 2;
  await trainTiny({ output_dir: cut, max_steps: 1, max_seq_length: limit, overwrite_output_dir: true });
  const longer = counts.reduce((sum, n, i) => sum + (edges[i]! > limit ? n : 0), 0);
  const { training } = readFacts(cut)!.data;
  expect(longer).toBeGreaterThan(0);
  expect(training.cut).toBe(longer);
  expect(training.full).toBe(longer + counts[edges.indexOf(limit)]!);
});

test("samples of the base leave the run's bits as they are", async () => {
  const [one, other] = [newFolder(), newFolder()];
  for (const [output_dir, sample_base] of [
    [one, true],
    [other, false],
  ] as const) {
    await trainTiny({ output_dir, max_steps: 2, samples: true, sample_base, overwrite_output_dir: true });
  }
  const weights = (folder: string) => readFileSync(join(folder, "adapter_model.safetensors"));
  expect(weights(one).equals(weights(other))).toBe(true);
  const texts = (folder: string) => readFacts(folder)!.samples.map(({ after }) => after);
  expect(texts(one)).toEqual(texts(other));
});

test("lowrank report compares folders, also of runs without facts, and refuses folders of no run", async () => {
  const folder = newFolder();
  for (const [name, steps] of [
    ["first", 30],
    ["second", 60],
  ] as const) {
    mkdirSync(join(folder, name));
    writeFileSync(
      join(folder, name, "metrics.jsonl"),
      `${longRun(steps)
        .map((line) => JSON.stringify(line))
        .join("\n")}\n{"step": 9`,
    );
  }
  const out = join(folder, "both");
  const { code, stdout, stderr } = await lowrank([
    "report",
    join(folder, "first"),
    join(folder, "second"),
    "--output_dir",
    out,
    "--json",
  ]);
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ report: join(out, "report.html"), runs: ["first", "second"] });
  const html = readFileSync(join(out, "report.html"), "utf8");
  expect(html).toContain("<title>2 runs: first, second</title>");
  expect(readdirSync(join(out, "report_files"))).toContain("loss.png");
  expect(() => readRun(folder)).toThrow(/it is no output folder of a training run/);
});

test("an adapter's ranks are computed beside the event loop, and are those of its analysis", async () => {
  const adapter = await randomAdapter(newFolder(), { r: 32 });
  const shown: Run = { folder: adapter, name: "shown", facts: null, lines: [] };
  let [turns, isDone] = [0, false];
  const turn = () => {
    turns++;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  const pictures = await rankPictures([shown]);
  isDone = true;
  const kinds = analyze(readFactors(adapter));
  expect(turns).toBeGreaterThan(kinds.flatMap(({ modules }) => modules).length);
  expect(pictures).toEqual([expect.objectContaining({ id: "ranks", svg: heatMap("Ranks of the adapter", kinds) })]);
  expect(await rankPictures([shown])).toEqual(pictures);
  expect(await rankPictures([{ ...shown, folder: newFolder() }])).toEqual([]);
});

test("PNG files are made by a thread that ends: this one never loads their package", async () => {
  const folder = newFolder();
  const lines = longRun(30).map((line) => JSON.stringify(line));
  writeFileSync(join(folder, "metrics.jsonl"), lines.join("\n"));
  const threads = () => process.getActiveResourcesInfo().filter((kind) => kind === "Worker" || kind === "MessagePort");
  const before = threads();
  expect(await writeReport([readRun(folder)], folder)).not.toHaveProperty("note");
  expect(threads()).toEqual(before);
  const png = readFileSync(join(folder, "report_files/loss.png"));
  expect([png.toString("latin1", 1, 4), png.readUInt32BE(16)]).toEqual(["PNG", 1440]);
  expect(Object.keys(createRequire(import.meta.url).cache).filter((file) => file.includes("resvg"))).toEqual([]);
});

test("a run whose curves are one point writes no files of plots", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "metrics.jsonl"), '{"step":1,"loss":2}\n');
  expect((await writeReport([readRun(folder)], folder)).plots).toBe(0);
  expect(readdirSync(folder).sort()).toEqual(["metrics.jsonl", "report.html"]);
  expect(jsonLines(join(folder, "metrics.jsonl"))).toHaveLength(1);
});

// Prompts and completions: the loss mask from the rows of a file to the engine's loss.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fileRows, TokenDataset, Tokenizer, type TokenTable } from "../../src/data/index.js";
import { type RenderedRow, type Renderer, type RenderSpec, RowProblem } from "../../src/data/render/index.js";
import { tokeniseBlock } from "../../src/data/tokenise/block.js";
import { tokeniseRows } from "../../src/data/tokenise/row-tokens.js";
import { openModel, resolveTargets } from "../../src/model/index.js";
import { type Batch, Engine } from "../../src/native/index.js";
import { readTokens } from "../../src/setup/texts.js";
import { errorOf, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";
import { trainedLoss } from "../support/readings.js";
import { tableOf } from "../support/tokens.js";

const folder = temporaryFolders();
const tokenizer = await Tokenizer.open(tinyBase);
const EOS = 1;

/** The goldens as scripts/goldens/completions.py writes them. */
interface Goldens {
  texts: { prompt: string; completion: string }[];
  cases: {
    max_length: number;
    /** Rows with something to learn. */
    rows: { row: number; ids: number[]; labels: number[] }[];
    /** Targets, and the mean of their losses under the base model. */
    learned: number;
    loss: number;
  }[];
}

const { texts, cases }: Goldens = JSON.parse(
  readFileSync(new URL("../fixtures/completions.json", import.meta.url), "utf8"),
);
const RENDER: RenderSpec = { kind: "chat", form: "prompt_completion", loss: "completions", templates: null };
const fileOf = (rows: object[]) => writeIn(folder(), "a.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"));
const source = (rows: object[] = texts) => fileRows([fileOf(rows)], RENDER, {});

/** Tokens of an example, each with -100 where it is not learned. */
function labelled(table: TokenTable, example: number) {
  const { inputIds, lossMask } = table.sequence(example);
  const labels = [...inputIds].map((id, i) => (lossMask[i] ? id : -100));
  return { row: table.row(example), ids: [...inputIds], labels };
}

describe.each(cases)("of at most $max_length tokens", ({ max_length: maxLength, rows, learned, loss }) => {
  const open = () => tableOf(source(), { tokenizer, folder: folder(), maxLength, addEos: true });

  test("tokens and masks are TRL's, and the same rows are left out", async () => {
    const table = await open();
    // A first token follows nothing: whether it is masked means nothing, and TRL masks it.
    const found = Array.from(table.learnable(), (example) => labelled(table, example));
    expect(found.map(({ labels, ...row }) => ({ ...row, labels: labels.slice(1) }))).toEqual(
      rows.map(({ labels, ...row }) => ({ ...row, labels: labels.slice(1) })),
    );
  });

  test.each([1, 3])("the loss is that of transformers with labels -100, batches of %s, packed or not", async (size) => {
    const model = openModel(tinyBase);
    const spec = {
      rank: 2,
      alpha: 2,
      dropout: 0,
      useRslora: false,
      targets: resolveTargets(model, "all-linear").modules,
      seed: 1,
    };
    const shape = { precision: "fp32", threads: 2, maxTokens: 256, maxSequence: 64, training: true } as const;
    await using engine = await Engine.create(model, spec, shape);
    const table = await open();
    for (const options of [{}, { packTo: 64 }, { padTo: 64, padId: 0 }]) {
      const dataset = new TokenDataset(table, table.learnable(), options);
      let [sum, count] = [0, 0];
      for (let at = 0; at < dataset.length; at += size) {
        const positions = Array.from({ length: Math.min(size, dataset.length - at) }, (_, i) => at + i);
        const { batch, supervisedTokens } = dataset.batch(positions);
        sum += await trainedLoss(engine, batch satisfies Batch, 1 / learned, at);
        count += supervisedTokens;
      }
      expect(count).toBe(learned);
      expect(Math.abs(sum / learned / loss - 1)).toBeLessThan(2e-5);
    }
  });
});

describe("the mask", () => {
  test("is cut into chunks with the tokens; a chunk of a prompt alone has nothing to learn", async () => {
    const whole = await tableOf(source(), { tokenizer, folder: folder(), maxLength: 64, addEos: true });
    const table = await tableOf(source(), {
      tokenizer,
      folder: folder(),
      maxLength: 8,
      longText: "chunk",
      addEos: true,
    });
    for (let row = 0; row < texts.length; row++) {
      const chunks = Array.from({ length: table.length }, (_, i) => labelled(table, i)).filter(
        (one) => one.row === row,
      );
      const { ids, labels } = labelled(whole, row);
      expect(chunks.flatMap((one) => one.ids)).toEqual(ids);
      expect(chunks.flatMap((one) => one.labels)).toEqual(labels);
    }
    const prompts = Array.from({ length: table.length }, (_, i) => i).filter((i) => table.supervised(i) === 0);
    expect(prompts.length).toBeGreaterThan(3);
    const learnable = new Set(table.learnable());
    expect(prompts.some((example) => learnable.has(example))).toBe(false);
  });

  test("keeps the completion where the beginning is cut", async () => {
    const special = { before: 1, after: 0, side: "left" } as const;
    const { prompt, completion } = texts[8]!;
    const end = { ...special, id: EOS };
    const [cut] = await tokeniseRows(tokenizer, [{ text: prompt + completion, prompt }], {
      maxLength: 6,
      end,
      special,
    });
    const right = cases[0]!.rows.at(-1)!;
    expect([...cut!.ids]).toEqual([0, ...right.ids.slice(-5)]);
    expect([...cut!.mask!]).toEqual([0, ...right.labels.slice(-5).map((label) => Number(label !== -100))]);
  });

  test("many rows, rendered and tokenised by threads, are as few in one", async () => {
    // From dist: a thread cannot run TypeScript.
    const dist = await import(new URL("../../dist/data/index.js", import.meta.url).href);
    const rows = Array.from({ length: 9000 }, (_, i) => {
      const { prompt, completion } = texts[i % texts.length]!;
      return { prompt: `${prompt.trim()} ${"again ".repeat(i % 9)}`, completion: `${completion} ${i}` };
    });
    const file = fileOf(rows);
    const options = { folder: folder(), maxLength: 24, longText: "truncate", addEos: true, limit: 1e12, threads: 2 };
    const opened = await dist.Tokenizer.open(tinyBase);
    const table: TokenTable = await dist.tokenTable(dist.fileRows([file], RENDER, {}), {
      ...options,
      tokenizer: opened,
    });
    expect(table.length).toBe(rows.length);
    const some = [0, 1, 4444, 8998, 8999];
    const few = await tableOf(source(some.map((i) => rows[i]!)), {
      tokenizer,
      folder: folder(),
      maxLength: 24,
      addEos: true,
    });
    for (const [k, i] of some.entries()) expect({ ...labelled(table, i), row: k }).toEqual(labelled(few, k));
  });

  test("with nothing learned leaves a row out, counted and named", async () => {
    const rows = [
      { prompt: "a", completion: "b c" },
      { prompt: "x", completion: "" },
      { prompt: "", completion: " " },
    ];
    const warnings: string[] = [];
    const options = {
      max_seq_length: 32,
      long_text: "truncate",
      add_eos: false,
      cache_dir: folder(),
      cache_limit_gb: 1,
      threads: 1,
    } as const;
    const reading = { warn: (line: string) => warnings.push(line) };
    const { examples } = await readTokens(source(rows), tokenizer, 4096, options, reading);
    expect([...examples]).toEqual([0]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /^2 texts are left out, as they are blank, without a completion, .* nothing to learn: .*line 2; .*line 3$/,
    );
    const error = await errorOf(() => readTokens(source(rows.slice(1)), tokenizer, 4096, options, reading));
    expect(error.code).toBe("E_ALL_MASKED");
    expect(error.message).toMatch(/each is blank, without a completion.*Check the columns prompt and completion\.$/);
  });
});

describe("the cache", () => {
  test("tells texts from completions, and rows of other columns", async () => {
    const cache = folder();
    const open = async (rows: object[], render: Parameters<typeof fileRows>[1]) =>
      (await tableOf(fileRows([fileOf(rows)], render, {}), { tokenizer, folder: cache, maxLength: 32 })).content.sha256;
    const a = await open([{ prompt: "one", completion: "two" }], RENDER);
    expect(await open([{ prompt: "onet", completion: "wo" }], RENDER)).not.toBe(a);
    expect(await open([{ completion: "two", prompt: "one", more: 1 }], RENDER)).toBe(a);
    // The same texts in the same order, each a row of its own.
    const plain = [{ text: "one" }, { text: "two" }];
    const table = await tableOf(fileRows([fileOf(plain)], { kind: "text", column: "text" }, {}), {
      tokenizer,
      folder: cache,
      maxLength: 32,
    });
    expect([table.length, [...table.sequence(0).lossMask].includes(0)]).toEqual([2, false]);
  });
});

describe("rows", () => {
  const special = { before: 1, after: 0, side: "right" } as const;
  const whole = { maxLength: undefined, end: null, special };
  const learnedOf = async (row: RenderedRow) => {
    const [tokens] = await tokeniseRows(tokenizer, [row], whole);
    const texts = [...tokens!.ids].map((id) => tokenizer.decode([id], { skipSpecialTokens: false }));
    return texts.filter((_, i) => tokens!.mask![i] === 1);
  };

  test("a token over the border of a learned part is learned, one over that of a prompt, too", async () => {
    const text = "The capital of France is";
    const learned = [
      { start: 8, end: 14 },
      { start: 21, end: 24 },
    ];
    expect(await learnedOf({ text, learned, isWhole: true })).toEqual([" capital", " of", " is"]);
    expect(await learnedOf({ text, prompt: "The capi" })).toEqual([" capital", " of", " France", " is"]);
    // Both: the learned part of the completion.
    const both = { text, learned, prompt: "The capital of", isWhole: true };
    expect(await learnedOf(both)).toEqual([" is"]);
  });

  test("places count UTF-16 units, before and after characters that take two", async () => {
    const text = "a 😀😀 b 😀 c";
    const learned = [{ start: text.indexOf("b"), end: text.indexOf("b") + 1 }];
    expect((await learnedOf({ text, learned, isWhole: true })).join("").trim()).toBe("b");
    const last = [{ start: text.length - 1, end: text.length }];
    expect((await learnedOf({ text, learned: last, isWhole: true })).join("").trim()).toBe("c");
  });

  test("a whole row gets no special tokens and no end", async () => {
    const [text] = await tokenizer.encode(["The capital"], { maxLength: undefined, specialTokens: false });
    const end = { ...special, id: EOS };
    const [tokens] = await tokeniseRows(tokenizer, [{ text: "The capital", isWhole: true }], { ...whole, end });
    expect(tokens).toEqual({ ids: text, mask: new Uint8Array(text!.length).fill(1) });
    const [cut] = await tokeniseRows(tokenizer, [{ text: "The capital", isWhole: true }], { ...whole, maxLength: 1 });
    expect([...cut!.ids]).toEqual([text![0]]);
  });

  test("a row that is refused is named by its number", async () => {
    const renderer: Renderer = {
      columns: [{ name: "messages", holds: "values" }],
      key: {},
      unlearned: "",
      render([value]) {
        if (value === null) throw new RowProblem('column "messages" is null');
        return { text: "a" };
      },
    };
    const options = { maxLength: 8, longText: "truncate", end: null, special } as const;
    const found = await tokeniseBlock(tokenizer, renderer, [["1", "2", "null"]], 40, options).catch((error) => error);
    expect([found.message, found.row]).toEqual(['column "messages" is null', 42]);
  });
});

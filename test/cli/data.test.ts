// lowrank preview, lowrank cache, and the files that train and eval keep in the cache.
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { readGgufHeader } from "../../src/model/index.js";
import { lowrank, tinyBase, trainFile, workFolder } from "../support/tiny.js";

const work = workFolder("cli-data");
const command = (...args: string[]) => lowrank(args);
afterAll(() => work.remove());

const file = work.path("texts.jsonl");
writeFileSync(file, ["one two three", "", "café\nline"].map((text) => JSON.stringify({ text })).join("\n"));
const base = ["--base_model", tinyBase];
const cacheOf = (name: string) => ["--cache_dir", work.path(name)];

describe("preview", () => {
  const preview = (...args: string[]) =>
    command("preview", ...base, "--train_file", file, ...cacheOf("preview"), ...args);

  test("tokens in bars, the first in brackets; what all texts are", async () => {
    const { code, stdout } = await preview("--num_rows", "3");
    expect(code).toBe(0);
    expect(stdout).toContain(`${file}, line 1: `);
    const [shown] = /\|.*\|/.exec(stdout)!;
    expect(shown).toMatch(/^\|\[<s>\]\|/);
    expect(shown.replaceAll("|", "").replace("[<s>]", "").replace("</s>", "")).toBe("one two three");
    expect(stdout.replaceAll("|", "")).toContain("café⏎\nline");
    expect(stdout).toMatch(/^texts +3$/m);
    expect(stdout).not.toContain("\x1b");
  });

  test("as JSON: the tokens' texts join to the text, whatever they cut", async () => {
    const { stdout } = await preview("--json", "--num_rows", "3");
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const joined = lines[2].tokens.map(({ text }: { text: string }) => text).join("");
    expect(joined.replace(/<\/?s>/g, "")).toBe("café\nline");
    expect(lines[2]).toMatchObject({ row: 2, where: `${file}, line 3` });
    expect(lines[0].tokens.map(({ learned }: { learned: boolean }) => learned)).toEqual(
      lines[0].tokens.map((_: unknown, i: number) => i > 0),
    );
    const { summary } = lines[3];
    const counts = lines.slice(0, 3).map(({ tokens }) => tokens.length);
    expect(summary).toMatchObject({
      texts: 3,
      examples: 3,
      tokens: counts.reduce((a, b) => a + b, 0),
      longest: Math.max(...counts),
      shortest: Math.min(...counts),
      packs: 1,
    });
  });

  test("long texts in chunks", async () => {
    const { stdout } = await preview("--json", "--num_rows", "9", "--max_seq_length", "4", "--long_text", "chunk");
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const rows = lines.slice(0, -1).map(({ row }) => row);
    expect(new Set(rows)).toEqual(new Set([0, 1, 2]));
    expect(rows.length).toBeGreaterThan(3);
    expect(lines.at(-1).summary).toMatchObject({ texts: 3, examples: rows.length, longest: 4 });
  });
});

describe("conversations", () => {
  const template = work.path("chat.jinja");
  writeFileSync(
    template,
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
  );
  const talk = (i: number) => [
    { role: "user", content: `question ${i} 🙂` },
    { role: "assistant", content: `answer ${i}` },
  ];
  const messages = work.path("messages.jsonl");
  const rows = Array.from({ length: 24 }, (_, i) => JSON.stringify({ messages: talk(i) }));
  writeFileSync(messages, rows.join("\n"));
  const chat = [...base, "--train_file", messages, "--chat_template", template, ...cacheOf("chat")];

  test("are trained on, evaluated and gone on with", async () => {
    const output = work.path("chat-run");
    const sizes = ["--per_device_train_batch_size", "4", "--max_seq_length", "64", "--num_samples", "0", "--packing"];
    const run = [...chat, ...sizes, "--output_dir", output, "--save_steps", "1", "--logging_steps", "1"];
    const { code, stderr } = await command("train", ...run, "--max_steps", "2");
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`the rows of ${messages} are conversations, as their columns say (data_format)`);
    expect(stderr).not.toContain("add_eos");
    const losses = readFileSync(`${output}/metrics.jsonl`, "utf8").trim().split("\n");
    expect(losses.map((line) => JSON.parse(line).loss).filter((loss) => loss > 0)).toHaveLength(2);
    const adapted = ["--adapter", output, "--validation_file", messages, "--json", ...cacheOf("chat")];
    const evaluated = await command("eval", ...base, ...adapted, "--chat_template", template);
    expect(JSON.parse(evaluated.stdout).eval_loss).toBeGreaterThan(0);
    const other = await command("train", ...run, "--max_steps", "3", "--resume", "--loss_on", "all");
    expect([other.code, other.stderr]).toEqual([
      1,
      expect.stringContaining("--loss_on is all, in the checkpoint assistant"),
    ]);
  });

  test("leave their template in what an adapter is merged into", async () => {
    const given = ["--adapter", work.path("chat-run")];
    const templateIn = (folder: string) => {
      const file = work.path(`${folder}/chat_template.jinja`);
      return existsSync(file) ? readFileSync(file, "utf8") : undefined;
    };
    const merge = (folder: string, ...more: string[]) =>
      command("merge", ...base, ...given, "--output_dir", work.path(folder), ...more);
    const merged = await merge("chat-merged");
    expect([merged.code, templateIn("chat-merged")], merged.stderr).toEqual([0, readFileSync(template, "utf8")]);
    // A tokenizer that was named is taken as it is.
    const plain = await merge("plain-merged", "--tokenizer_name", tinyBase);
    expect([plain.code, templateIn("plain-merged")], plain.stderr).toEqual([0, undefined]);
    const file = work.path("chat.gguf");
    const exported = await command("export", ...base, ...given, "--format", "gguf", "--output_file", file);
    expect(exported.code, exported.stderr).toBe(0);
    expect(readGgufHeader(file).metadata.get("tokenizer.chat_template")).toBe(readFileSync(template, "utf8"));
    const run = [
      "--output_dir",
      work.path("at-once"),
      "--max_steps",
      "1",
      "--max_seq_length",
      "64",
      "--num_samples",
      "0",
    ];
    const trained = await command("train", ...chat, ...run, "--merge");
    expect([trained.code, templateIn("at-once_merged")], trained.stderr).toEqual([0, readFileSync(template, "utf8")]);
  });

  test("are shown with what is learned", async () => {
    const { stdout } = await command("preview", ...chat, "--num_rows", "1");
    const [shown] = /\|.*\|/.exec(stdout)!;
    const learned = shown
      .slice(1, -1)
      .split("|")
      .filter((token) => !/^\[.*\]$/s.test(token));
    expect(learned.join("")).toBe("answer 0</s>");
  });

  test("are what a template is for: beside texts alone it is refused, unless a file of options has it", async () => {
    const plain = work.path("plain.jsonl");
    writeFileSync(plain, rows.map((_, i) => JSON.stringify({ text: `text ${i}` })).join("\n"));
    const refusal = expect.stringMatching(/error E_USAGE: chat_template and template_date: these rows are texts, /);
    const given = ["--chat_template", "/nonexistent.jinja", "--template_date", "2026-01-31", ...cacheOf("plain")];
    const run = ["--output_dir", work.path("plain-run"), "--dry_run"];
    for (const [name, ...args] of [
      ["train", "--train_file", plain, ...run],
      ["preview", "--train_file", plain],
      ["eval", "--validation_file", plain],
      ["analyze", work.path("chat-run"), "--validation_file", plain],
      [
        "compress",
        work.path("chat-run"),
        "--max_rank",
        "1",
        "--output_dir",
        work.path("smaller"),
        "--validation_file",
        plain,
      ],
    ] as const) {
      const refused = await command(name, ...base, ...args, ...given);
      expect([refused.code, refused.stderr], name).toEqual([1, refusal]);
    }
    const mixed = ["--train_file", plain, "--validation_file", messages, "--chat_template", template];
    const trained = await command("train", ...base, ...mixed, ...run);
    expect(trained.code, trained.stderr).toBe(0);
    const config = work.path("chats.yaml");
    writeFileSync(config, `train_file: ${messages}\nchat_template: ${template}\n`);
    const evaluated = await command("eval", ...base, "--config", config, "--validation_file", plain);
    expect(evaluated.code, evaluated.stderr).toBe(0);
  });

  test("without a template are an error before anything else, and so is a form that there is not", async () => {
    const none = await command("train", ...base, "--train_file", messages, "--output_dir", work.path("none"));
    expect(none.stderr).toContain("The tokenizer has no chat template, which conversations need.");
    const wrong = await command("preview", ...chat, "--data_format", "mesages");
    expect(wrong.stderr).toContain('found "mesages" (did you mean "messages"?)');
  });
});

describe("cache", () => {
  test("lists and clears what other commands have kept", async () => {
    const cache = cacheOf("listed");
    expect((await command("cache", ...cache)).stdout).toContain("0 files of tokens");
    await command("eval", ...base, "--validation_file", file, ...cache);
    const { stdout } = await command("cache", "ls", "--json", ...cache);
    const listed = JSON.parse(stdout);
    expect(listed.files).toHaveLength(1);
    expect(listed.bytes).toBe(readFileSync(listed.files[0].file).length);
    expect((await command("cache", "clear", ...cache)).stdout).toContain("removed 1 files of tokens");
    expect(readdirSync(work.path("listed"))).toEqual([]);
    const wrong = await command("cache", "empty", ...cache);
    expect([wrong.code, wrong.stderr.includes('--action: expected ls or clear, found "empty"')]).toEqual([1, true]);
  });

  test("a second run reads the tokens, and trains the same", async () => {
    const train = async (output: string, ...more: string[]) => {
      const args = ["--train_file", trainFile, "--max_steps", "2", "--no-merge"];
      const { code, stderr } = await command(
        "train",
        ...base,
        ...args,
        ...cacheOf("twice"),
        "--output_dir",
        work.path(output),
        ...more,
      );
      expect(code, stderr).toBe(0);
      return { stderr, adapter: readFileSync(work.path(`${output}/adapter_model.safetensors`)) };
    };
    const first = await train("first");
    expect(first.stderr).toMatch(/tokenised 480 texts, 480 examples: [\d,]+ tokens/);
    const second = await train("second");
    expect(second.adapter.equals(first.adapter)).toBe(true);
    const packed = await train("packed", "--packing", "--group_by_length");
    expect(packed.stderr).toMatch(/432 texts to train on in \d+ packs, 48 to evaluate on/);
    expect(packed.adapter.equals(first.adapter)).toBe(false);
  });

  test("a cache folder that cannot be made: its name and what to do", async () => {
    const { code, stderr } = await command("eval", ...base, "--validation_file", file, "--cache_dir", `${file}/cache`);
    expect([code, stderr.includes(`${file}/cache`)]).toEqual([1, true]);
    expect(stderr).toContain("--cache_dir");
  });

  test("a text that changes is read again", async () => {
    const changing = work.path("changing.jsonl");
    writeFileSync(changing, '{"text":"one two"}\n');
    const examples = async () => {
      const args = [...base, "--train_file", changing, "--json", ...cacheOf("changing")];
      const { stdout } = await command("preview", ...args);
      return JSON.parse(stdout.trim().split("\n").at(-1)!).summary.examples;
    };
    expect(await examples()).toBe(1);
    appendFileSync(changing, '{"text":"three"}\n');
    expect(await examples()).toBe(2);
  });
});

describe("strategies", () => {
  const train = (output: string, ...more: string[]) => {
    const args = ["--train_file", trainFile, "--max_steps", "2", "--max_seq_length", "32", "--no-merge"];
    return command("train", ...base, ...args, ...cacheOf("strategies"), "--output_dir", work.path(output), ...more);
  };

  test("no checkpoints and no evaluations, but the adapter", async () => {
    const { code, stderr } = await train("bare", "--save_strategy", "no", "--eval_strategy", "no");
    expect(code, stderr).toBe(0);
    const files = readdirSync(work.path("bare"));
    expect(files).toContain("adapter_model.safetensors");
    expect(files.filter((name) => name.startsWith("checkpoint"))).toEqual([]);
    expect(readFileSync(work.path("bare/metrics.jsonl"), "utf8")).not.toContain("eval_loss");
  });

  test.each([
    [["--load_best_model_at_end", "--save_strategy", "no"], "load_best_model_at_end needs save_strategy"],
    [["--load_best_model_at_end", "--eval_strategy", "no"], "load_best_model_at_end needs eval_strategy"],
    [["--early_stopping_patience", "2", "--eval_strategy", "no"], "early_stopping_patience needs eval_strategy"],
    [["--task", "seq-cls", "--chat_template", "none.jinja"], "chat_template needs task causal-lm"],
    [["--task", "seq-cls", "--template_date", "2026-01-31"], "template_date needs task causal-lm"],
    [["--task", "seq-cls", "--loss_on", "all"], "loss_on needs task causal-lm"],
    [["--task", "seq-cls", "--data_format", "messages"], "data_format messages needs task causal-lm"],
  ])("%j is refused", async (flags, message) => {
    const { code, stderr } = await train("refused", ...flags);
    expect([code, stderr.includes(message)]).toEqual([1, true]);
  });
});

describe("memory", () => {
  const train = (output: string, ...more: string[]) => {
    const args = ["--train_file", trainFile, "--max_steps", "2", "--max_seq_length", "64", "--no-merge"];
    return command("train", ...base, ...args, ...cacheOf("memory"), "--output_dir", work.path(output), ...more);
  };

  test("a limit that is too small: the plan, and what would fit", async () => {
    const { code, stderr } = await train(
      "limited",
      "--memory_limit",
      "140MB",
      "--per_device_train_batch_size",
      "512",
      "--precision",
      "fp32",
    );
    expect(code).toBe(1);
    expect(stderr).toContain("E_MEMORY");
    expect(stderr).toContain("allowed by --memory_limit");
    expect(stderr).toMatch(/ {2}activations +[\d.]+ MiB/);
  });

  test("gradient checkpointing: less memory, the same bits", async () => {
    const [kept, again] = [await train("kept"), await train("again", "--gradient_checkpointing")];
    const activations = (text: string) => Number(/activations +([\d.]+) MiB/.exec(text)![1]);
    expect(activations(again.stderr + again.stdout)).toBeLessThan(0.55 * activations(kept.stderr + kept.stdout));
    const bytes = (output: string) => readFileSync(work.path(`${output}/adapter_model.safetensors`));
    expect(bytes("again").equals(bytes("kept"))).toBe(true);
  });
});

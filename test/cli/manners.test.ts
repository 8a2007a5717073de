// lowrank doctor, init, schema, completion; exit codes; machine-readable output.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { commandList, commands, completion, jsonSchema } from "../../src/config/index.js";
import { lowrank, tinyBase, trainFile, workFolder } from "../support/tiny.js";

const work = workFolder("manners");
afterAll(() => work.remove());

describe("doctor", () => {
  test("everything is right here, and said so", async () => {
    const { code, stdout } = await lowrank(["doctor", "--cache_dir", work.path("cache")]);
    expect(code, stdout).toBe(0);
    for (const name of ["Node.js", "processor", "native addon", "instruction sets", "memory", "cache folder"]) {
      expect(stdout).toMatch(new RegExp(`^ok +${name.replace(".", "\\.")} `, "m"));
    }
    expect(stdout).not.toContain("PROBLEM");
  });

  test("what is wrong is named, with what to do, and the exit code tells", async () => {
    writeFileSync(work.path("file"), "");
    const args = ["doctor", "--json", "--cache_dir", work.path("file/cache")];
    const { code, stdout, stderr } = await lowrank(args);
    expect(code).toBe(1);
    const { ok, findings } = JSON.parse(stdout);
    expect(ok).toBe(false);
    const cache = findings.find(({ name }: { name: string }) => name === "cache folder");
    expect(cache).toMatchObject({ ok: false });
    expect(cache.text).toContain("--cache_dir");
    expect(stderr).toContain("cache folder");
  });

  test("an instruction set that is not there", async () => {
    const { code, stdout } = await lowrank(["doctor", "--cache_dir", work.path("cache")], {
      env: { LOWRANK_CPU: "sse9" },
    });
    expect(code).toBe(1);
    expect(stdout).toMatch(/PROBLEM +native addon .*sse9/);
  });
});

describe("init and schema", () => {
  const file = work.path("run.yaml");
  beforeAll(async () => {
    const { code, stdout, stderr } = await lowrank(["init", file]);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(`lowrank train --config ${file}`);
  });
  const text = () => readFileSync(file, "utf8");

  test("every option is there with its default, and the file is a right one once it is filled in", async () => {
    for (const name of Object.keys(commands.train.rows)) {
      if (name === "config" || name === "dry_run") continue;
      expect(text(), name).toMatch(new RegExp(`^(# )?${name}:`, "m"));
    }
    const filled = text()
      .replace(/^base_model:.*$/m, `base_model: ${tinyBase}`)
      .replace(/^train_file:.*$/m, `train_file: ${trainFile}`);
    writeFileSync(work.path("filled.yaml"), filled);
    const args = ["train", "--config", work.path("filled.yaml"), "--dry_run", "--cache_dir", work.path("cache")];
    const { code, stderr } = await lowrank(args);
    expect(code, stderr).toBe(0);
  });

  test("the defaults that it shows are the defaults", async () => {
    const shown = text()
      .split("\n")
      .flatMap((line) => /^# ([a-z_0-9]+: .+)$/.exec(line)?.[1] ?? [])
      .filter((line) => Object.hasOwn(commands.train.rows, line.split(":")[0]!));
    const values = parse(shown.join("\n"));
    for (const [name, row] of Object.entries(commands.train.rows)) {
      if (row.defaultValue === undefined || name === "dry_run" || name === "config") continue;
      expect(values[name], name).toEqual(row.defaultValue);
    }
  });

  test("it does not overwrite", async () => {
    const { code, stderr } = await lowrank(["init", file]);
    expect([code, stderr.includes(`${file} is there already`)]).toEqual([1, true]);
  });

  test("its first line leads editors to the schema", () => {
    const [, url] = /^# yaml-language-server: \$schema=(file:\/\/\S+)/.exec(text())!;
    expect(JSON.parse(readFileSync(new URL(url!), "utf8"))).toEqual(jsonSchema());
  });

  test("docs/lowrank.schema.json is what the table says, and what the command prints", async () => {
    const page = readFileSync(new URL("../../docs/lowrank.schema.json", import.meta.url), "utf8");
    expect(JSON.parse(page)).toEqual(jsonSchema());
    expect((await lowrank(["schema"])).stdout).toBe(page);
  });

  const validate = new Ajv2020({ strict: false }).compile(jsonSchema());
  test.each([
    {},
    { lora_r: 8, learning_rate: 2e-4, shuffle: false, train_file: ["a.jsonl", "b"], resume: true },
    { base_model: "m", train_file: "a.jsonl,b.jsonl", resume: "out/checkpoint-3", max_steps: null, merge: null },
    { memory_limit: "6GB", lr_scheduler: "cosine", target_modules: "all-linear" },
    { lora_rank: 8, lr: 1e-4, optim: "adamw_torch", lora_target_modules: ["q_proj"], adapter: "a", prompt: "p" },
  ])("right: %j", (config) => {
    expect(validate(config), JSON.stringify(validate.errors)).toBe(true);
  });

  test.each([
    { lora_rnk: 8 },
    { lora_rank: 0 },
    { lora_r: 0 },
    { lora_r: 1.5 },
    { lr_scheduler: "steep" },
    { shuffle: "often" },
    { warmup_ratio: 2 },
    { train_file: 3 },
    { seed: null },
  ])("wrong: %j", (config) => expect(validate(config)).toBe(false));
});

describe("completion", () => {
  const names = commandList.map(({ name }) => name);

  /** Bash's completions at the end of a line. */
  function offered(...line: string[]): string[] {
    const script = `${completion("bash")}
COMP_WORDS=(${line.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${line.length - 1}; _lowrank; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", script], { encoding: "utf8", cwd: work.path() }).split("\n").filter(Boolean);
  }

  test("bash: commands, their options, values, files", () => {
    expect(offered("lowrank", "")).toEqual([...names, "--help", "--version"]);
    expect(offered("lowrank", "in")).toEqual(["inspect", "init"]);
    const lora = ["--lora_r", "--lora_alpha", "--lora_dropout", "--lora_bias"];
    expect(offered("lowrank", "train", "--lora_")).toEqual(lora);
    expect(offered("lowrank", "train", "--lr_scheduler", "c")).toEqual(["cosine", "constant"]);
    expect(offered("lowrank", "cache", "")).toEqual(["ls", "clear"]);
    expect(offered("lowrank", "merge", "--lora_")).toEqual([]);
    writeFileSync(work.path("some-texts.jsonl"), "");
    expect(offered("lowrank", "train", "--train_file", "some")).toEqual(["some-texts.jsonl"]);
  });

  for (const shell of ["zsh", "fish"] as const) {
    const there = spawnSync(shell, ["-c", "exit 0"]).status === 0;
    if (!there) console.log(`cli/manners.test.ts: ${shell} is not installed: its script is not run`);
    test.skipIf(!there)(`${shell} takes its script`, () => {
      const script = work.path(`completion.${shell}`);
      writeFileSync(script, completion(shell));
      const line =
        shell === "zsh"
          ? `autoload -U compinit && compinit -u && source ${script}`
          : `source ${script}; complete -C 'lowrank tr'`;
      const output = execFileSync(shell, ["-c", line], {
        encoding: "utf8",
        env: { ...process.env, HOME: work.path() },
      });
      if (shell === "fish") expect(output).toContain("train");
    });
  }

  test("every shell's script names every command and option of train", async () => {
    for (const shell of ["bash", "zsh", "fish"]) {
      const { stdout } = await lowrank(["completion", shell]);
      for (const name of names) expect(stdout, shell).toContain(name);
      for (const option of Object.keys(commands.train.rows)) expect(stdout, shell).toContain(option);
    }
    expect((await lowrank(["completion", "tcsh"])).stderr).toContain("bash or zsh or fish");
  });
});

describe("--json", () => {
  const train = (...more: string[]) => {
    const args = ["--base_model", tinyBase, "--train_file", trainFile, "--max_steps", "2", "--max_seq_length", "32"];
    return lowrank([
      "train",
      ...args,
      "--no-merge",
      "--cache_dir",
      work.path("cache"),
      "--output_dir",
      work.path("json"),
      "--json",
      ...more,
    ]);
  };

  test("train: an event a line on standard output, the log on standard error", async () => {
    const { code, stdout, stderr } = await train("--logging_steps", "1");
    expect(code, stderr).toBe(0);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const types = events.map(({ type }) => type);
    expect(types[0]).toBe("plan");
    expect(types.filter((type) => type === "step")).toHaveLength(2);
    expect(types).toEqual(expect.arrayContaining(["start", "eval", "checkpoint", "best", "sample", "end"]));
    expect(types.at(-1)).toBe("end");
    expect(events.at(-1)).toMatchObject({ steps: 2, aborted: false, output_dir: work.path("json") });
    expect(stderr).toContain("step 2/2");
    expect(existsSync(work.path("json/adapter_model.safetensors"))).toBe(true);
  });

  test("an error is one JSON object on standard error's last line", async () => {
    const { code, stdout, stderr } = await train("--lora_r", "0");
    expect([code, stdout]).toEqual([1, ""]);
    const error = JSON.parse(stderr.trim().split("\n").at(-1)!);
    expect(error).toMatchObject({ code: "E_USAGE" });
    expect(error.message).toContain("--lora_r");
  });
});

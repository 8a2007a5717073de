import { describe, expect, test } from "vitest";
import { normalise } from "../../src/cli/argv.js";
import { parse } from "../../src/cli/parse.js";
import { commandList, commands } from "../../src/config/index.js";

describe("one spelling for every way to write an option", () => {
  test.each([
    [["--lora_r", "8"], ["--lora_r=8"]],
    [["--lora-r", "8"], ["--lora_r=8"]],
    [["--lora-r=8"], ["--lora_r=8"]],
    [["--use-rslora"], ["--use_rslora=true"]],
    [["--use_rslora", "False"], ["--use_rslora=False"]],
    [["--no-use-rslora"], ["--use_rslora=false"]],
    [
      ["--no-shuffle", "--lora_r", "4"],
      ["--shuffle=false", "--lora_r=4"],
    ],
    [["--no_shuffle"], ["--shuffle=false"]],
    [
      ["--use_rslora", "word"],
      ["--use_rslora=true", "word"],
    ],
    [["--lora_r"], ["--lora_r="]],
    [
      ["--lora_r", "--seed", "1"],
      ["--lora_r=", "--seed=1"],
    ],
    [["--output_dir", "--odd-name"], ["--output_dir=--odd-name"]],
    [["--target_modules", "-x"], ["--target_modules=-x"]],
    [["--learning_rate", "-1"], ["--learning_rate=-1"]],
    [["--text-column=a=b-c"], ["--text_column=a=b-c"]],
    [["--no-lora_r"], ["--no-lora_r"]],
    [["--resume"], ["--resume=latest"]],
    [
      ["--resume", "out/checkpoint-3", "--seed", "1"],
      ["--resume=out/checkpoint-3", "--seed=1"],
    ],
    [
      ["--resume", "--lerning_rate"],
      ["--resume=latest", "--lerning_rate"],
    ],
    [["--no-resume"], ["--resume=false"]],
    [
      ["--lora-rr", "8"],
      ["--lora-rr", "8"],
    ],
    [
      ["--toString", "1"],
      ["--toString", "1"],
    ],
    [
      ["--", "--lora-r"],
      ["--", "--lora-r"],
    ],
  ])("%j", (written, expected) => {
    expect(normalise(written, commands.train.rows)).toEqual(expected);
  });
});

async function values(argv: string[]) {
  const request = await parse(argv);
  if (request.kind !== "command") throw new Error("expected a command");
  return { ...Object.fromEntries(request.flags.values), strays: request.flags.strays };
}

describe("parsing", () => {
  test("values stay text, whatever they look like", async () => {
    const argv = ["generate", "--prompt", "- a\n--b=c", "--seed=007", "--top_p", "1e-3", "--adapter", "true"];
    expect(await values(argv)).toEqual({
      prompt: ["- a\n--b=c"],
      seed: ["007"],
      top_p: ["1e-3"],
      adapter: ["true"],
      strays: [],
    });
    expect(await values(["generate", "--prompt", "-"])).toEqual({ prompt: ["-"], strays: [] });
  });

  test("what is given twice or belongs to nothing is kept for the error", async () => {
    const argv = ["train", "--seed", "1", "--seed=2", "--lora_rr", "8", "-x", "word", "--__proto__=1"];
    expect(await values(argv)).toEqual({ seed: ["1", "2"], strays: ["--lora_rr", "8", "-x", "word", "--__proto__=1"] });
  });

  test("inspect takes the model without its name", async () => {
    expect(await values(["inspect", "model", "--lora_r", "4"])).toEqual({
      base_model: ["model"],
      lora_r: ["4"],
      strays: [],
    });
    expect((await values(["inspect", "a", "--base_model", "b"])) as object).toMatchObject({ base_model: ["b", "a"] });
  });
});

describe("help", () => {
  test.each(commandList.map((command) => [command.name, command] as const))(
    "of %s names every option",
    async (name, command) => {
      const request = await parse([name, "--help"]);
      const text = request.kind === "text" ? request.text : "";
      for (const [option, row] of Object.entries(command.rows)) {
        expect(text).toContain(`--${option} `);
        if (row.defaultValue !== undefined) expect(text).toContain(`[default: ${row.defaultValue}]`);
      }
      expect(text).toContain(command.example);
      expect(text).toContain("LoRA:".repeat(Number(command.trains === true)));
    },
  );

  test("of the program lists the commands", async () => {
    for (const argv of [["--help"], ["-h"], ["help"]]) {
      const request = await parse(argv);
      for (const { name, summary } of commandList) {
        expect(request.kind === "text" && request.text).toContain(`lowrank ${name}`);
        expect(request.kind === "text" && request.text.replace(/\s+/g, " ")).toContain(summary);
      }
    }
  });

  test("every row has words of its own", () => {
    for (const row of Object.values({ ...commands.train.rows, ...commands.generate.rows })) {
      expect(row.help.length).toBeGreaterThan(3);
      expect(row.expects.length).toBeGreaterThan(3);
    }
  });
});

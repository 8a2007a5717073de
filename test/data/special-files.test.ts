import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, rmSync, symlinkSync, truncateSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { copyInto } from "../../src/checkpoint/files.js";
import { readAdapter, readOptimizerState } from "../../src/checkpoint/index.js";
import { readYaml } from "../../src/config/yaml.js";
import { readTexts, Tokenizer } from "../../src/data/index.js";
import { openModel, readSafetensorsHeader } from "../../src/model/index.js";
import { copyGolden, errorOf, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";

const temporary = temporaryFolders();

/** Things that may stand where a file should, and their names in an error. */
const KINDS: [string, string, (path: string) => unknown][] = [
  ["a pipe", "a pipe", (path) => execFileSync("mkfifo", [path])],
  [
    "a link to a pipe",
    "a pipe",
    (path) => {
      execFileSync("mkfifo", [`${path}.pipe`]);
      symlinkSync(`${path}.pipe`, path);
    },
  ],
  ["a link to a device", "a device", (path) => symlinkSync("/dev/zero", path)],
  ["a folder", "a folder", (path) => mkdirSync(path)],
];

/** The name of a file in a model's folder, and its reader. */
const READERS: [string, (folder: string) => unknown][] = [
  ["run.yaml", (folder) => readYaml(join(folder, "run.yaml"))],
  ["config.json", openModel],
  ["model.safetensors", openModel],
  ["other.safetensors", (folder) => readSafetensorsHeader(join(folder, "other.safetensors"))],
  ["tokenizer.json", (folder) => Tokenizer.open(folder)],
  ["tokenizer_config.json", (folder) => Tokenizer.open(folder)],
  ["adapter_config.json", (folder) => readAdapter(folder, openModel(tinyBase))],
  ["optimizer.safetensors", readOptimizerState],
  ["chat_template.jinja", (folder) => copyInto(temporary(), [join(folder, "chat_template.jinja")])],
  ["texts.parquet", (folder) => readTexts([join(folder, "texts.parquet")], "text")],
  ["texts.arrow", (folder) => readTexts([join(folder, "texts.arrow")], "text")],
];

/** A model's folder without one file. */
function without(name: string): { folder: string; file: string } {
  const folder = copyGolden("mha-tied", temporary());
  copyFileSync(join(tinyBase, "tokenizer.json"), join(folder, "tokenizer.json"));
  const file = join(folder, name);
  rmSync(file, { force: true });
  return { folder, file };
}

describe("what is no file is refused by name", () => {
  describe.each(READERS)("%s", (name, read) => {
    // A folder of that name is one of data.
    const kinds = name.startsWith("texts.") ? KINDS.filter(([kind]) => kind !== "a folder") : KINDS;
    test.each(kinds)("%s", async (_, kind, make) => {
      const { folder, file } = without(name);
      make(file);
      const error = await errorOf(() => read(folder));
      expect(error.message).toMatch(new RegExp(`${name} cannot be read: it is ${kind}, not a file\\.$`));
      expect(error).toMatchObject({ code: "E_FILE", where: file });
    });
  });

  test("a socket", async () => {
    const { folder, file } = without("config.json");
    const server = createServer().listen(file);
    await once(server, "listening");
    const error = await errorOf(() => openModel(folder));
    server.close();
    expect(error).toMatchObject({ code: "E_FILE", where: file });
    expect(error.message).toMatch(/config\.json cannot be read: it is a socket/);
  });

  test("links that lead in a circle", async () => {
    const { folder, file } = without("config.json");
    symlinkSync(file, file);
    expect((await errorOf(() => openModel(folder))).message).toMatch(/its links lead in a circle/);
  });
});

describe("a pointer of Git LFS in place of a file is called so", () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0a".repeat(32)}\nsize 134515080\n`;
  const texts = ["jsonl", "json", "csv", "txt", "md"].map((extension): (typeof READERS)[0] => {
    const name = `texts.${extension}`;
    return [name, (folder) => readTexts([join(folder, name)], "text")];
  });
  test.each([...READERS, ...texts])("%s", async (name, read) => {
    const { folder, file } = without(name);
    writeIn(folder, name, pointer);
    const error = await errorOf(() => read(folder));
    expect(error).toMatchObject({ code: "E_FILE", where: file });
    expect(error.message).toMatch(/cannot be read: it is a pointer of Git LFS .* "git lfs pull"/);
  });

  test("a text about them is none", async () => {
    const file = join(temporary(), "a.txt");
    writeIn(dirname(file), "a.txt", "version https://git-lfs.github.com is where it is\n");
    expect((await readTexts([file], "text")).length).toBe(1);
  });
});

describe("a file of settings that is too large is refused by name and size", () => {
  test.each<[string, number, number]>([
    ["config.json", 64, 65],
    ["run.yaml", 64, 70],
    ["tokenizer_config.json", 64, 65],
    ["adapter_config.json", 64, 2000],
    ["tokenizer.json", 256, 257],
  ])("%s", async (name, most, size) => {
    const { folder, file } = without(name);
    writeIn(folder, name, "");
    truncateSync(file, size * 2 ** 20);
    const error = await errorOf(() => READERS.find(([own]) => own === name)![1](folder));
    expect(error).toMatchObject({ code: "E_FILE", where: file });
    expect(error.message).toContain(`it has ${size} MiB, more than the ${most} MiB that such a file may have`);
  });
});

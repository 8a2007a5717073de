#!/usr/bin/env node
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";

const o = readArguments({
  about: `Installs lowrank as others do, each time into an empty project, and trains two steps there: the package of a fresh clone with the
prebuilt addon and without a compiler, the same from git, and (--source) built from source. Ends with "N passed, N failed".`,
  options: {
    source: { kind: "flag", help: "also builds the addon from source in the project, which takes a minute or two" },
    mpi: { value: "FOLDER", help: "another Open MPI, with bin/mpirun and lib, under which two ranks are trained, too" },
    keep: { kind: "flag", help: "keep the folder with clone and projects" },
  },
});

const root = fileURLToPath(new URL("..", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "lowrank-package-"));
const QUIET = ["--no-audit", "--no-fund"];
const TRAINING = `
import { writeFileSync } from "node:fs";
import { Model, Trainer } from "lowrank";
const model = await Model.open("node_modules/lowrank/examples/tiny-base");
const train = Array.from({ length: 8 }, (_, i) => \`text \${i} of some words\`);
const trainer = await Trainer.create(model, { train, max_steps: 2, max_seq_length: 16, cache_dir: "cache" });
for await (const event of trainer.run()) if (event.type === "step") console.log(event.step, event.loss);
await model.close();
`;

/** Runs a command; its standard output. @throws Error with all that it printed */
function run(command, args, { cwd, env = process.env } = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? status}\n${stdout}${stderr}`);
}

/** The environment of a machine without a compiler: only the programs that npm needs are on the path. */
function bare() {
  const bin = join(work, "bin");
  mkdirSync(bin, { recursive: true });
  for (const name of ["node", "npm", "npx", "sh", "git"]) {
    const found = execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    if (!existsSync(join(bin, name))) symlinkSync(found, join(bin, name));
  }
  return { ...process.env, PATH: bin, CXX: "" };
}

/** An empty project of its own folder. */
function project(name) {
  const cwd = join(work, name);
  mkdirSync(cwd);
  writeFileSync(join(cwd, "package.json"), `${JSON.stringify({ name, private: true, type: "module" })}\n`);
  writeFileSync(join(cwd, "train.mjs"), TRAINING);
  return cwd;
}

/** Trains from a program and by the command. */
function use(cwd, env) {
  const steps = run("node", ["train.mjs"], { cwd, env }).trim().split("\n");
  if (steps.length !== 2) throw new Error(`two steps were expected: ${steps}`);
  const base = "node_modules/lowrank/examples/tiny-base";
  const texts = "node_modules/lowrank/examples/data/train.jsonl";
  const options = ["--base_model", base, "--train_file", texts, "--output_dir", "adapter", "--cache_dir", "cache"];
  const few = ["--max_steps", "2", "--max_seq_length", "32", "--no-merge"];
  run("npx", ["--no-install", "lowrank", "train", ...options, ...few], { cwd, env });
  if (!existsSync(join(cwd, "adapter/adapter_model.safetensors"))) throw new Error("the command wrote no adapter");
}

let [passed, failed] = [0, 0];
function check(name, body) {
  const start = performance.now();
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(1)} s`;
  try {
    const said = body();
    passed++;
    console.log(`ok      ${name}: ${seconds()}${said ? `, ${said}` : ""}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}: ${seconds()}\n${error.message}`);
  }
}

const clone = join(work, "clone");
const packages = join(work, "packages");
const packed = () => readdirSync(packages).map((file) => join(packages, file))[0];
const prebuilt = run(process.execPath, [join(root, "scripts/pack-prebuilt.mjs")])
  .trim()
  .split("\n")
  .at(-1);

check("npm pack of a fresh clone", () => {
  run("git", ["clone", "--quiet", root, clone]);
  mkdirSync(packages);
  run("npm", ["pack", "--pack-destination", packages], { cwd: clone });
  const changed = run("git", ["status", "--porcelain"], { cwd: clone });
  if (changed) throw new Error(`it left changes in the clone:\n${changed}`);
});
check("with the prebuilt addon, without scripts, without a compiler", () => {
  const [cwd, env] = [project("prebuilt"), bare()];
  const start = performance.now();
  run("npm", ["install", ...QUIET, "--ignore-scripts", packed(), prebuilt], { cwd, env });
  const installed = (performance.now() - start) / 1000;
  run("node", ["train.mjs"], { cwd, env });
  const trained = (performance.now() - start) / 1000 - installed;
  use(cwd, env);
  const count = readdirSync(join(cwd, "node_modules"), { recursive: true }).filter((file) =>
    /(^|\/)package\.json$/.test(file),
  );
  return `of which npm install ${installed.toFixed(1)} s and two steps ${trained.toFixed(1)} s; ${count.length} package.json files`;
});
/** Two ranks of the installed package. */
function useRanks(cwd, env) {
  const base = "node_modules/lowrank/examples/tiny-base";
  const texts = "node_modules/lowrank/examples/data/train.jsonl";
  const options = [
    "--base_model",
    base,
    "--train_file",
    texts,
    "--output_dir",
    "ranks",
    "--overwrite_output_dir",
    "--cache_dir",
    "cache",
  ];
  const few = ["--max_steps", "2", "--max_seq_length", "32", "--no-merge", "--nproc_per_node", "2", "--threads", "1"];
  run("npx", ["--no-install", "lowrank", "train", ...options, ...few], { cwd, env });
  if (!existsSync(join(cwd, "ranks/adapter_model.safetensors"))) throw new Error("two ranks wrote no adapter");
}
check("two ranks with the prebuilt plugin; without mpirun, that says what to install", () => {
  const cwd = join(work, "prebuilt");
  const refused = spawnSync(
    "npx",
    ["--no-install", "lowrank", "train", "--base_model", "b", "--train_file", "t", "--nproc_per_node", "2"],
    { cwd, env: bare(), encoding: "utf8" },
  );
  if (refused.status !== 1 || !/E_MPI.*apt-get install openmpi-bin/.test(refused.stderr))
    throw new Error(`without mpirun:\n${refused.stdout}${refused.stderr}`);
  if (!existsSync(join(cwd, "node_modules/lowrank-linux-x64/liblowrank_mpi.so"))) return "no plugin was built here";
  const found = [["", ""], ...(o.mpi ? [[o.mpi, join(o.mpi, "bin") + delimiter]] : [])];
  if (spawnSync("mpirun", ["--version"]).status !== 0) found.shift();
  for (const [, first] of found) useRanks(cwd, { ...process.env, PATH: first + process.env.PATH });
  return `under ${found.length} mpirun`;
});
check("from git, with the prebuilt addon", () => {
  const cwd = project("from-git");
  run("npm", ["install", ...QUIET, `git+file://${clone}`, prebuilt], { cwd });
  use(cwd, bare());
});
check("without an addon, the loader names the command; without a compiler, that says what is missing", () => {
  const [cwd, env] = [project("source"), bare()];
  run("npm", ["install", ...QUIET, "--ignore-scripts", packed()], { cwd, env });
  const { stderr } = spawnSync("node", ["train.mjs"], { cwd, env, encoding: "utf8" });
  const command = /Build it with: node (\S+)/.exec(stderr)?.[1];
  if (!command) throw new Error(`no command is named:\n${stderr}`);
  const refused = spawnSync("node", [command], { cwd, env, encoding: "utf8" });
  if (refused.status !== 1 || !/Missing: g\+\+, cmake.*apt-get install/.test(refused.stderr))
    throw new Error(`without a compiler:\n${refused.stdout}${refused.stderr}`);
  if (!o.source) return;
  // ccache, where the clone's build used it, knows these files by their names below the folder.
  run("node", [command], { cwd, env: { ...process.env, CCACHE_BASEDIR: cwd } });
  use(cwd, env);
});

if (o.keep) console.log(`Kept: ${work}`);
else rmSync(work, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

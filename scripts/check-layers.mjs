#!/usr/bin/env node
import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";

readArguments({
  about: `Holds the map in docs/architecture.md against the real includes and imports: a folder may use itself and the folders
in its row. A few packages and headers have one owner. Every folder has a row. No files import each other in a circle.`,
});

const root = fileURLToPath(new URL("..", import.meta.url));

/** Headers and packages that only these folders or files may name. */
const OWNERS = {
  "napi.h": /^native\/addon\//,
  "immintrin.h": /^native\/cpu\//,
  "cpuid.h": /^native\/cpu\//,
  "cuda_runtime.h": /^native\/cuda\//,
  "cublasLt.h": /^native\/cuda\//,
};
/** Packages that one file only may import. */
const ONE_OWNER = [
  "winston",
  "yargs",
  "tokenizers",
  "cli-progress",
  "yaml",
  "apache-arrow",
  "fzstd",
  "d3-scale",
  "d3-shape",
  "@huggingface/hub",
];

const failures = [];

/** Rows of the map: folder or file -> the folders that it may use, both as in the table. */
function readMap() {
  const rows = new Map();
  for (const line of readFileSync(join(root, "docs/architecture.md"), "utf8").split("\n")) {
    const cells = line.split("|").map((cell) => cell.trim());
    if (cells.length < 5 || !/^(native|src)\//.test(cells[1])) continue;
    rows.set(
      cells[1],
      new Set(
        cells[3]
          .split(",")
          .map((name) => name.replace(/\(.*\)/, "").trim())
          .filter(Boolean),
      ),
    );
  }
  return rows;
}

function files(folder, pattern) {
  return readdirSync(join(root, folder), { recursive: true })
    .map((file) => join(folder, file))
    .filter((file) => pattern.test(file));
}

const map = readMap();
const used = new Set();
/** The row a file belongs to: its own, else its folder's. */
function rowOf(file) {
  const row = map.has(file) ? file : file.split("/").slice(0, 2).join("/");
  used.add(row);
  return map.has(row) ? row : undefined;
}
/** How the table's last column calls a folder: native/ops -> ops. */
const shortName = (row) => row.split("/")[1];

function check(file, target, what) {
  const from = rowOf(file);
  const to = rowOf(target);
  if (!from || !to) {
    failures.push(`${from ? target : file}: no row in docs/architecture.md`);
    return;
  }
  if (from !== to && !map.get(from).has(shortName(to))) {
    failures.push(`${file}: ${what}, but ${from} may not use ${shortName(to)}`);
  }
}

const sources = files("native", /\.(cpp|h|inc|cu|cuh)$/);
for (const file of sources) {
  if (!rowOf(file)) failures.push(`${file}: no row in docs/architecture.md`);
  for (const [, kind, name] of readFileSync(join(root, file), "utf8").matchAll(/^\s*#include (["<])([^">]+)[">]/gm)) {
    if (OWNERS[name] && !OWNERS[name].test(file)) failures.push(`${file}: includes ${name}, which it does not own`);
    if (kind === '"') check(file, `native/${name}`, `includes ${name}`);
  }
}

const owners = new Map();
/** File -> files that it imports. */
const imports = new Map();
const modules = files("src", /\.ts$/);
for (const file of modules) {
  if (file === "src/index.ts") continue; // the public face: it may re-export anything
  const text = readFileSync(join(root, file), "utf8");
  for (const [, name] of text.matchAll(/(?:\bfrom|\bimport\(|\bimport) ?"([^"]+)"/g)) {
    if (name.startsWith(".")) {
      const target = normalize(join(dirname(file), name)).replace(/\.js$/, ".ts");
      imports.set(file, [...(imports.get(file) ?? []), target]);
      check(file, target, `imports ${name}`);
    } else if (!name.startsWith("node:") && !builtinModules.includes(name)) {
      const owned = ONE_OWNER.find((p) => name === p || name.startsWith(`${p}/`));
      if (owned) owners.set(owned, new Set([...(owners.get(owned) ?? []), file]));
    }
  }
}

/** Follows the imports from the last file of `path`; a file that is reached again closes a circle. */
const done = new Set();
function follow(path) {
  const file = path.at(-1);
  for (const next of imports.get(file) ?? []) {
    const start = path.indexOf(next);
    if (start >= 0) failures.push(`a circle of imports: ${[...path.slice(start), next].join(" -> ")}`);
    else if (!done.has(next)) follow([...path, next]);
  }
  done.add(file);
}
for (const file of modules) if (!done.has(file)) follow([file]);

for (const [name, by] of owners) {
  if (by.size > 1) failures.push(`${name} is imported by ${[...by].join(", ")}: it has one owner`);
}
for (const row of map.keys()) {
  const exists = sources.concat(modules).some((file) => file === row || file.startsWith(`${row}/`));
  if (!exists) failures.push(`docs/architecture.md has a row for ${row}, which is not there`);
}

for (const failure of failures) console.error(failure);
console.log(`${sources.length} native sources and ${modules.length} modules: ${failures.length} broken rules`);
process.exit(failures.length ? 1 : 0);

#!/usr/bin/env node
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { readArguments } from "./support/arguments.mjs";

readArguments({
  about: `Makes few files of the many that the command reads when it starts: dist/cli, dist/commands and the packages that every start needs go
into dist/chunks. The command starts in about half the time. The modules of dist that are not the command's are left as the compiler wrote them.
Packages that are loaded when they are needed become a file each.`,
});

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const chunks = join(dist, "chunks");
/** Packages that the command's modules import. */
const BUNDLED = ["zod", "yargs", "d3-scale", "d3-shape"];
/** Packages that src/base/packages.ts loads when they are needed. */
const PACKED = ["yaml", "winston", "apache-arrow"];

const commands = readdirSync(join(dist, "commands")).filter((file) => file.endsWith(".js"));
const entries = [
  "cli/run",
  "cli/parse",
  "launch/index",
  ...commands.map((file) => `commands/${file.slice(0, -".js".length)}`),
];
const input = Object.fromEntries(entries.map((name) => [name, join(dist, `${name}.js`)]));
const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const external = Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => !BUNDLED.includes(name));

rmSync(chunks, { recursive: true, force: true });
/** Folders of the packages whose code is in dist/chunks. */
const packages = new Set();

function note({ output }) {
  for (const id of output.flatMap(({ moduleIds }) => moduleIds ?? [])) {
    const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id);
    if (folder) packages.add(folder[0]);
  }
}

/** One level below dist, as all modules: their paths relative to import.meta.url hold. */
async function write(input, chunkNames) {
  // A module that threads load when they need it is there at once in the command.
  const checks = { ineffectiveDynamicImport: false };
  const bundle = await rolldown({ input, external, platform: "node", cwd: root, checks });
  const names = { entryFileNames: "[name].js", chunkFileNames: `chunks/${chunkNames}-[hash].js` };
  note(await bundle.write({ dir: dist, format: "esm", ...names }));
  await bundle.close();
}
await write(input, "[name]");
// A bundle of its own beside the chunk that starts it (src/data/tokenise/pool.ts): a chunk that it shared with the command would make each
// thread compile more than it needs.
await write({ "chunks/worker": join(dist, "data", "tokenise", "worker.js") }, "worker-[name]");

// Each as `require` would load it, and whole: one file names what it uses of it.
for (const name of PACKED) {
  const bundle = await rolldown({ input: { [name]: name }, platform: "node", cwd: root });
  note(await bundle.write({ dir: chunks, format: "cjs", entryFileNames: "[name].cjs" }));
  await bundle.close();
}

const manifest = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
// A package's own files may hold code of packages that it depends on.
for (const folder of packages) {
  for (const name of Object.keys(manifest(folder).dependencies ?? {})) {
    const places = [join(folder, "node_modules", name), join(root, "node_modules", name)];
    const found = places.find((place) => existsSync(place));
    if (found && !name.startsWith("@types/")) packages.add(found);
  }
}
for (const folder of packages) {
  const { name } = manifest(folder);
  const texts = readdirSync(folder).filter((file) => /^(licen[cs]e|notice)/i.test(file));
  if (texts.length === 0) throw new Error(`${folder} has no licence to go along with its code.`);
  for (const text of texts) {
    const kind = /^notice/i.test(text) ? "NOTICE" : "LICENSE";
    copyFileSync(join(folder, text), join(chunks, `${kind}.${name.replace("/", "-")}`));
  }
}

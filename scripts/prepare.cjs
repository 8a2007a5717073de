const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { readArguments } = require("./support/arguments.mjs");

const root = path.join(__dirname, "..");
/** Packages of headers, and the folder in which each has them. */
const HEADERS = { "node-addon-api": ".", "node-api-headers": "include" };

function run(command, args) {
  // Standard output may belong to npm pack, which prints its file's name, or JSON, there.
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", process.stderr, "inherit"] });
  if (status === 0) return;
  if (error) console.error(`${command}: ${error.message}`);
  // npm runs no postpack after a failure.
  require("./pack-manifest.cjs").restore();
  process.exit(status ?? 1);
}

const compiler = path.join(root, "node_modules", "typescript", "bin", "tsc");

function installPackages() {
  if (!fs.existsSync(compiler)) run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
}

function copyHeaders() {
  const to = path.join(root, "dist", "headers");
  fs.rmSync(to, { recursive: true, force: true });
  fs.mkdirSync(to, { recursive: true });
  for (const [name, folder] of Object.entries(HEADERS)) {
    const from = path.join(root, "node_modules", name);
    for (const file of fs.readdirSync(path.join(from, folder)).filter((file) => file.endsWith(".h")))
      fs.copyFileSync(path.join(from, folder, file), path.join(to, file));
    const license = fs.readdirSync(from).find((file) => /^licen[cs]e/i.test(file));
    fs.copyFileSync(path.join(from, license), path.join(to, `LICENSE.${name}`));
  }
}

function main() {
  readArguments({
    about: `npm's prepare script, before a package is made of a clone (npm pack, npm publish, install from git): dist/, and in it the headers
that a build of the addon needs where there is no cmake-js. Installs the development packages first where they are not.`,
  });
  // Set by npm for the installation before it makes a package of a git repository; prepare runs again then.
  if (process.env._PACOTE_NO_PREPARE_) return;
  installPackages();
  run(process.execPath, [compiler, "-p", path.join(root, "tsconfig.json")]);
  run(process.execPath, [path.join(__dirname, "bundle.mjs")]);
  copyHeaders();
}

module.exports = { installPackages };
if (require.main === module) main();

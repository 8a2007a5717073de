#!/usr/bin/env node
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fail, readArguments } from "./support/arguments.mjs";
import { checkGlibc } from "./support/glibc.mjs";

readArguments({
  about:
    "Builds the addon that needs nothing but glibc 2.28 and packs it as build/packages/lowrank-linux-x64-VERSION.tgz (docs/packaging.md).",
});

const NAME = "lowrank-linux-x64";
if (`lowrank-${process.platform}-${process.arch}` !== NAME) fail(`${NAME} is built on linux x64 only`);
const root = fileURLToPath(new URL("..", import.meta.url));
const run = (command, args, cwd = root) =>
  execFileSync(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"] });
const { version, license, repository, homepage, bugs } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

run(process.execPath, ["scripts/build-native.cjs", "--target", "lowrank_portable"]);
const addon = join(root, "build/portable/Release/lowrank.node");
try {
  checkGlibc(addon);
} catch (error) {
  fail(error.message);
}

/** Whether this machine has Open MPI: the build knows a target for it then. */
const hasMpi = readFileSync(join(root, "build/cmake/CMakeCache.txt"), "utf8").match(
  /^LOWRANK_MPI_INCLUDE:.*=(.*)$/m,
)?.[1];
const plugin = join(root, "build/portable/Release/liblowrank_mpi.so");
rmSync(plugin, { force: true });
if (hasMpi && !hasMpi.endsWith("-NOTFOUND")) {
  run(process.execPath, ["scripts/build-native.cjs", "--target", "lowrank_mpi_portable"]);
  try {
    // Open MPI 4 and 5 have this library under one name.
    checkGlibc(plugin, ["libmpi.so.40"]);
  } catch (error) {
    fail(error.message);
  }
} else
  console.error(
    "No plugin for several ranks is packed: this machine has no mpi.h of Open MPI (apt-get install libopenmpi-dev).",
  );

const packages = join(root, "build/packages");
const folder = join(packages, NAME);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const files = [addon, plugin].filter((file) => existsSync(file));
for (const file of files) copyFileSync(file, join(folder, basename(file)));
copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
const manifest = {
  name: NAME,
  version,
  description: "The native addon of lowrank for Linux on x86-64 with glibc 2.28 or newer",
  license,
  repository,
  homepage,
  bugs,
  os: ["linux"],
  cpu: ["x64"],
  libc: ["glibc"],
  main: "lowrank.node",
  files: files.map((file) => basename(file)),
};
writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
run("npm", ["pack", "--silent", "--pack-destination", packages], folder);
console.log(join(packages, `${NAME}-${version}.tgz`));

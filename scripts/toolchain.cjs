const { spawnSync } = require("node:child_process");
const { accessSync, constants } = require("node:fs");
const { delimiter, isAbsolute, join } = require("node:path");
const { readArguments } = require("./support/arguments.mjs");

function onPath(name) {
  const folders = isAbsolute(name) ? [""] : (process.env.PATH ?? "").split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Debian's names of the packages that are missing. */
function missing() {
  const compilers = [process.env.CXX?.split(" ")[0], "c++", "g++", "clang++"].filter(Boolean);
  return [
    ...(compilers.some(onPath) ? [] : ["g++"]),
    ...(onPath("cmake") ? [] : ["cmake"]),
    ...(onPath("ninja") || onPath("make") ? [] : ["ninja-build"]),
  ];
}

const installLine = (names) => `apt-get update && apt-get install -y --no-install-recommends ${names.join(" ")}`;

/** One sentence for people, or undefined where nothing is missing. */
function complaint(names = missing()) {
  if (names.length === 0) return undefined;
  return `The addon cannot be built here. Missing: ${names.join(", ")}. Install with:  sudo sh -c '${installLine(names)}'`;
}

function main() {
  const { install } = readArguments({
    about:
      "Names the tools that a build of the addon needs and this machine lacks: a C++ compiler, CMake, and Ninja or Make.",
    options: { install: { kind: "flag", help: "as root on Debian and Ubuntu: installs it" } },
  });
  const names = missing();
  if (names.length === 0) return 0;
  if (install && process.getuid() === 0 && onPath("apt-get")) {
    console.log(`\n== Installing ${names.join(" ")}`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    return spawnSync("sh", ["-c", installLine(names)], { stdio: "inherit", env }).status ?? 1;
  }
  console.error(complaint(names));
  return 1;
}

module.exports = { complaint, onPath };
if (require.main === module) process.exitCode = main();

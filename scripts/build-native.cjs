const { spawnSync } = require("node:child_process");
const { existsSync } = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { fail, readArguments } = require("./support/arguments.mjs");
const toolchain = require("./toolchain.cjs");

const root = path.join(__dirname, "..");
const { config, target } = readArguments({
  about: `The one entry point of every build of the addon (npm install, node-gyp rebuild, CI, a package without a prebuilt addon): CMakeLists.txt,
configured and built by cmake-js in a clone, and by CMake alone in an installed package, which brings its headers.
LOWRANK_CMAKE_ARGS adds -D options, LOWRANK_JOBS is the number of compile jobs, CXX the compiler.`,
  options: {
    config: { default: "Release", help: "CMake's configuration, and the folder below build/" },
    target: { value: "NAME", help: "CMake's target; all where none is named" },
  },
});
const build = path.join(root, "build", "cmake");
const extra = (process.env.LOWRANK_CMAKE_ARGS ?? "").split(" ").filter(Boolean);
const jobs = String(process.env.LOWRANK_JOBS ?? os.availableParallelism());

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function withCmakeJs() {
  const program = require.resolve("cmake-js/bin/cmake-js");
  const common = ["-l", "warn", "-d", root, "-O", build, "-B", config];
  run(process.execPath, [program, "configure", ...common, ...(extra.length ? ["--", ...extra] : [])]);
  run(process.execPath, [program, "build", ...common, "-p", jobs, ...(target ? ["-T", target] : [])]);
}

function withCmake() {
  const headers = path.join(root, "dist", "headers");
  const generator = toolchain.onPath("ninja") ? ["-G", "Ninja"] : [];
  console.log(`Building ${path.join(root, "build", config, "lowrank.node")} (a minute or two)`);
  const options = [`-DCMAKE_BUILD_TYPE=${config}`, `-DCMAKE_JS_INC=${headers}`, ...extra];
  run("cmake", ["-S", root, "-B", build, ...generator, ...options]);
  run("cmake", ["--build", build, "-j", jobs, ...(target ? ["--target", target] : [])]);
}

const complaint = toolchain.complaint();
if (complaint) fail(complaint);
// The TypeScript sources are in a clone only.
if (existsSync(path.join(root, "src"))) withCmakeJs();
else withCmake();

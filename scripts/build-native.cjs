// The one entry point of every native build (npm install, node-gyp rebuild, CI): cmake-js configures and builds CMakeLists.txt.
// LOWRANK_CMAKE_ARGS adds -D options, LOWRANK_JOBS the number of compile jobs.
const { spawnSync } = require("node:child_process");
const path = require("node:path");

const root = path.join(__dirname, "..");
const at = process.argv.indexOf("--config");
const config = at > 0 ? process.argv[at + 1] : "Release";
const cmakeJs = require.resolve("cmake-js/bin/cmake-js");
const common = ["-l", "warn", "-d", root, "-O", path.join(root, "build", "cmake"), "-B", config];
const extra = (process.env.LOWRANK_CMAKE_ARGS ?? "").split(" ").filter(Boolean);
const jobs = String(process.env.LOWRANK_JOBS ?? require("node:os").availableParallelism());

function run(args) {
  const r = spawnSync(process.execPath, [cmakeJs, ...args], { cwd: root, stdio: "inherit" });
  if (r.status !== 0) process.exit(r.status ?? 1);
}
run(["configure", ...common, ...(extra.length ? ["--", ...extra] : [])]);
run(["build", ...common, "-p", jobs]);

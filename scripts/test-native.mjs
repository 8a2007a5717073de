#!/usr/bin/env node
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runAlive } from "./support/alive.mjs";
import { readArguments } from "./support/arguments.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const options = readArguments({
  about: `Builds and runs the native tests: unit tests and the operation cases, on every instruction set, real or emulated. Ends with
"N passed, N failed", which CI counts.`,
  options: {
    sanitize: { kind: "flag", help: "a build with ASan and UBSan, and a part of the sweep" },
    "thread-sanitize": { kind: "flag", help: "the same with TSan" },
    whole: {
      kind: "flag",
      help: "with either, every case on every instruction set, each instrumented: before a release",
    },
    speed: { kind: "flag", help: "rates instead of tests" },
    matmul: { kind: "flag", help: "linears and decoding as JSON lines, for bench-matmul.mjs" },
    werror: { kind: "flag", help: "warnings are errors" },
    isa: { value: "NAME", help: "this instruction set alone" },
    op: { value: "NAME", help: "this operation alone" },
    filter: { help: "cases whose name holds this text" },
    threads: { kind: "number", least: 1, help: "of --speed and --matmul; all processors where it is not named" },
  },
});

const sanitizers = options["thread-sanitize"] ? "thread" : options.sanitize ? "address,undefined" : "";
const jobs = process.env.LOWRANK_JOBS ?? String(availableParallelism());
const target = ["--target", "lowrank_op_cases"];
// LOWRANK_CMAKE_ARGS as for the addon's build (scripts/build-native.cjs).
const extra = (process.env.LOWRANK_CMAKE_ARGS ?? "").split(" ").filter(Boolean);
const definitions = ["-DLOWRANK_TESTS=ON", ...(options.werror ? ["-DLOWRANK_WERROR=ON"] : []), ...extra];
const started = Date.now();
let build = join(root, "build", "cmake");
if (sanitizers) {
  build = join(root, "build", `native-${sanitizers === "thread" ? "tsan" : "asan"}${options.whole ? "-whole" : ""}`);
  const folders = ["-S", root, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DLOWRANK_ADDON=OFF"];
  const all = `-DLOWRANK_SANITIZE_ALL=${options.whole ? "ON" : "OFF"}`;
  const configure = [...folders, `-DLOWRANK_SANITIZE=${sanitizers}`, all, ...definitions];
  await runAlive("configuring the native tests", "cmake", configure, { quiet: true });
  await runAlive("building the native tests", "cmake", ["--build", build, "-j", jobs, ...target], { quiet: true });
} else {
  // In the addon's folder: the tests link the objects that the addon has, compiled once.
  const env = { LOWRANK_CMAKE_ARGS: definitions.join(" ") };
  const script = join(root, "scripts", "build-native.cjs");
  await runAlive("building the native tests", process.execPath, [script, ...target], { quiet: true, env });
}
console.log(`native tests built in ${((Date.now() - started) / 1000).toFixed(0)} s: ${build}`);

const rates = ["speed", "matmul"].filter((mode) => options[mode]);
// Processes share the cases. ThreadSanitizer follows no threads behind a fork.
const shared = rates.length > 0 || options["thread-sanitize"] ? [] : ["--jobs", jobs];
const modes = rates.length > 0 ? rates : ["unit", "twin", "grad", "bits", "support", "device"];
const filters = ["isa", "op", "filter", "threads"].flatMap((name) =>
  options[name] ? [`--${name}`, `${options[name]}`] : [],
);
await runAlive(
  "native tests",
  join(build, "lowrank_op_cases"),
  [...modes, ...shared, ...(sanitizers && !options.whole ? ["--quick"] : []), ...filters],
  {
    env: {
      ASAN_OPTIONS: "detect_leaks=1:strict_string_checks=1",
      UBSAN_OPTIONS: "print_stacktrace=1",
      TSAN_OPTIONS: "halt_on_error=1:second_deadlock_stack=1",
      // Of the sets that are instrumented (CMakeLists.txt) the fastest, where a test names none.
      ...(sanitizers && !options.whole ? { LOWRANK_CPU: "avx2" } : {}),
    },
  },
);

#!/usr/bin/env node
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";
import { FUZZ_OPTIONS } from "./support/fuzz-options.mjs";

readArguments({
  about: `Builds the addon with AddressSanitizer and UndefinedBehaviorSanitizer beside the usual one, and lets the fuzzer (fuzz.mjs) read
its inputs with it. Leaks are looked for in the addon's own allocations.`,
  options: FUZZ_OPTIONS,
});

const root = fileURLToPath(new URL("..", import.meta.url));
const build = join(root, "build/addon-sanitized");
const run = (command, args) => execFileSync(command, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
run("cmake", ["-S", root, "-B", build, "-DCMAKE_BUILD_TYPE=Sanitized", "-DLOWRANK_SANITIZE=address,undefined"]);
run("cmake", ["--build", build, "-j", process.env.LOWRANK_JOBS ?? String(availableParallelism())]);

const library = (name) => execFileSync("g++", [`-print-file-name=${name}`], { encoding: "utf8" }).trim();
const work = mkdtempSync(join(tmpdir(), "lowrank-sanitized-"));
const suppressions = join(work, "suppressions");
// Memory that Node.js and other addons keep until the process ends is theirs.
writeFileSync(
  suppressions,
  ["node", "tokenizers", "libstdc++", "v8::", "napi_"].map((name) => `leak:${name}\n`).join(""),
);
const { status } = spawnSync(process.execPath, [join(root, "scripts/fuzz.mjs"), ...process.argv.slice(2)], {
  stdio: "inherit",
  env: {
    ...process.env,
    LOWRANK_BUILD: "Sanitized",
    LD_PRELOAD: `${library("libasan.so")} ${library("libstdc++.so")}`,
    ASAN_OPTIONS: "detect_leaks=1:allocator_may_return_null=1:exitcode=99",
    UBSAN_OPTIONS: "print_stacktrace=1:halt_on_error=1",
    LSAN_OPTIONS: `suppressions=${suppressions}:print_suppressions=0`,
  },
});
rmSync(work, { recursive: true });
process.exit(status ?? 1);

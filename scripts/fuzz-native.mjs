#!/usr/bin/env node
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const values = readArguments({
  about:
    "libFuzzer on the addon's own checks of a model's description, with AddressSanitizer and UndefinedBehaviorSanitizer. Needs clang.",
  options: { seconds: { kind: "number", default: 0, help: "how long; 0: until Ctrl-C" } },
});
if (spawnSync("clang++", ["--version"]).status !== 0) {
  console.log("fuzz-native is skipped: clang++ is not installed (on Debian: apt-get install clang)");
  process.exit(0);
}
const build = join(root, "build/fuzz");
mkdirSync(join(build, "corpus"), { recursive: true });
const sources = ["base", "io", "model"].flatMap((folder) =>
  readdirSync(join(root, "native", folder))
    .filter((name) => name.endsWith(".cpp"))
    .map((name) => join(root, "native", folder, name)),
);
const program = join(build, "native_readers");
const flags = [
  "-std=c++20",
  "-O1",
  "-g",
  "-fsanitize=fuzzer,address,undefined",
  "-fno-sanitize-recover=all",
  `-I${root}/native`,
];
execFileSync("clang++", [...flags, join(root, "test/fuzz/native_readers.cpp"), ...sources, "-o", program], {
  stdio: "inherit",
});
const limits = [
  `-max_total_time=${values.seconds}`,
  "-rss_limit_mb=2048",
  "-timeout=10",
  "-print_final_stats=1",
  `-artifact_prefix=${build}/`,
];
const { status } = spawnSync(program, [join(build, "corpus"), ...limits], { stdio: "inherit" });
process.exit(status ?? 1);

// Requests for coming rows in the machine code: gcc leaves out calls of functions that do nothing else (native/cpu/prefetch.h), and no result shows it.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../support/tiny.js";

const objects = join(root, "build/cmake/CMakeFiles/lowrank_core.dir/native/cpu");

function missing(): string | null {
  if (!existsSync(objects)) return `${objects} has no objects of the build`;
  return spawnSync("objdump", ["--version"]).status === 0 ? null : "there is no objdump";
}
const reason = missing();
if (reason) console.log(`The machine code is not looked at: ${reason}.`);

/** How many prefetches each function of an object has, by its name. */
function prefetches(object: string): Map<string, number> {
  const { stdout, status } = spawnSync("objdump", ["-d", "-C", "--no-show-raw-insn", join(objects, object)], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  expect(status).toBe(0);
  const found = new Map<string, number>();
  let name = "";
  for (const line of stdout.split("\n")) {
    name = /^[0-9a-f]+ <(.*)>:$/.exec(line)?.[1] ?? name;
    if (/\tprefetch/.test(line)) found.set(name, (found.get(name) ?? 0) + 1);
  }
  return found;
}

test.skipIf(reason !== null).each([
  ["attention.cpp.o", ["lowrank::cpu::"]],
  ["attention_query.cpp.o", ["lowrank::cpu::CpuBackend::few_queries"]],
  ["int8_product.cpp.o", ["lowrank::cpu::"]],
  [
    "kernels_avx512bf16.cpp.o",
    ["pack_bwd_bf16", "pack_bwd_i8", "pack_codes(", "pack_codes_rows(", "pack_fwd_bf16", "::gemv_bf16("],
  ],
])("%s asks for the rows of %j", (object, functions) => {
  const found = [...prefetches(object).keys()];
  for (const name of functions)
    expect(
      found.some((each) => each.includes(name)),
      name,
    ).toBe(true);
});

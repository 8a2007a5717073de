// NCCL's functions as native/cuda/nccl.h declares them, beside NCCL's own header: it comes with the Python of LOWRANK_PEER_PYTHON.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../support/tiny.js";

const python = process.env.LOWRANK_PEER_PYTHON;
const packages = python
  ? spawnSync(python, ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], { encoding: "utf8" }).stdout
  : "";
const nccl = join((packages ?? "").trim(), "nvidia/nccl/include");

function missing(): string | null {
  if (!python) return "LOWRANK_PEER_PYTHON names no Python";
  if (!existsSync(join(nccl, "nccl.h"))) return `${nccl} has no nccl.h (pip install nvidia-nccl-cu12)`;
  return spawnSync("c++", ["--version"]).status === 0 ? null : "there is no c++";
}
const reason = missing();
if (reason) console.log(`NCCL's declarations are not compared: ${reason}.`);

test.skipIf(reason !== null)("are NCCL's own", () => {
  const folders = ["-Inative", "-Itest/native/headers", "-Itest/native/fake_cuda", "-isystem", nccl];
  const compile = (input: string) =>
    spawnSync("c++", ["-std=c++20", "-fsyntax-only", ...folders, "-x", "c++", "-"], {
      cwd: root,
      encoding: "utf8",
      input,
    });
  const source = readFileSync(join(root, "test/native/headers/nccl.cpp"), "utf8");
  const found = compile(source);
  expect(found.status, found.stderr).toBe(0);
  // It would tell.
  const other = compile(source.replace("SAME(ncclSend, send)", "SAME(ncclSend, receive)"));
  expect(other.stderr).toMatch(/static assertion failed: ncclSend/);
});

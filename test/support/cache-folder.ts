// Before all tests: a cache folder of their own, removed after them, and no hub but a test's own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "lowrank-test-cache-"));
  process.env.XDG_CACHE_HOME = folder;
  process.env.HF_HUB_OFFLINE = "1";
  return () => rmSync(folder, { recursive: true, force: true });
}

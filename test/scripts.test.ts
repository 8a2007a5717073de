// Every script answers --help, and refuses an unknown option in one line; also in a clone that was not built.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const folder = fileURLToPath(new URL("../scripts", import.meta.url));
/** node-gyp.cjs hands everything on to node-gyp. */
const scripts = readdirSync(folder).filter((name) => /\.[cm]js$/.test(name) && name !== "node-gyp.cjs");
const run = (name: string, arg: string) => spawnSync(process.execPath, [join(folder, name), arg], { encoding: "utf8" });

test("there are scripts", () => {
  expect(scripts).toContain("bench-train.mjs");
});

test.for(scripts)("%s", (name) => {
  const help = run(name, "--help");
  expect(help).toMatchObject({ status: 0, stderr: "" });
  expect(help.stdout).toContain(`usage: ${name}`);
  expect(help.stdout).toMatch(/^ +--help /m);
  const refused = run(name, "--no-such-option");
  expect(refused).toMatchObject({ status: 1, stdout: "" });
  expect(refused.stderr).toMatch(/^\S+: --no-such-option: no such option; known are .*--help\n$/);
  // Imported before the arguments are read, the build would have to be there.
  expect(readFileSync(join(folder, name), "utf8")).not.toMatch(/^import .*\/dist\//m);
});

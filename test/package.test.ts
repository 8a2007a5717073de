// The places where the addon is looked for, the error where it is not found, and the prebuilt addon's floor. scripts/check-package.mjs
// installs the packages for real.
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { tooNew } from "../scripts/support/glibc.mjs";
import type { NativeAddon } from "../src/native/addon.js";
import { temporaryFolders } from "./support/folders.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const PREBUILT = "lowrank-linux-x64";
const temporaryFolder = temporaryFolders();

/** The loader as it lies in a project, beside the prebuilt addon of `prebuilt`, if any. */
async function installed(prebuilt?: string): Promise<{ folder: string; native: () => NativeAddon }> {
  const modules = join(temporaryFolder(), "node_modules");
  const folder = join(modules, "lowrank");
  for (const part of ["native", "base"]) mkdirSync(join(folder, "dist", part), { recursive: true });
  for (const file of ["native/addon.js", "base/errors.js"])
    copyFileSync(join(root, "dist", file), join(folder, "dist", file));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ version, type: "module" }));
  if (prebuilt) {
    mkdirSync(join(modules, PREBUILT));
    writeFileSync(join(modules, PREBUILT, "package.json"), JSON.stringify({ version: prebuilt, main: "lowrank.node" }));
    symlinkSync(join(root, "build/Release/lowrank.node"), join(modules, PREBUILT, "lowrank.node"));
  }
  return { folder, ...(await import(pathToFileURL(join(folder, "dist/native/addon.js")).href)) };
}

describe("the loader", () => {
  test("takes the prebuilt addon of its own version", async () => {
    const { native } = await installed(version);
    expect(native().cpuInfo().available).toContain("scalar");
  });

  test("refuses one of another version, and names both", async () => {
    const { native } = await installed("9.8.7");
    expect(native).toThrow(
      `package ${PREBUILT}: version 9.8.7, but this lowrank is ${version}: npm install ${PREBUILT}@${version}`,
    );
  });

  test("names every place, this machine, and the command that builds", async () => {
    const { folder, native } = await installed();
    expect(native).toThrow(
      [
        "The native addon could not be loaded. Tried:",
        `  ${folder}/build/Release/lowrank.node: not there`,
        `  ${folder}/build/Debug/lowrank.node: not there`,
        `  package ${PREBUILT}: not installed`,
        `Prebuilt for linux x64 with glibc 2.28 or newer (${PREBUILT}@${version}); this is linux x64, glibc `,
      ].join("\n"),
    );
    expect(native).toThrow(`Build it with: node ${folder}/scripts/build-native.cjs`);
  });

  test("loads a broken addon's error among the places", async () => {
    const { folder, native } = await installed();
    mkdirSync(join(folder, "build/Release"), { recursive: true });
    writeFileSync(join(folder, "build/Release/lowrank.node"), "no addon");
    expect(native).toThrow(/build\/Release\/lowrank\.node: .*(invalid ELF header|file too short)/);
  });
});

describe("the prebuilt addon's floor", () => {
  const symbol = (name: string, of: string) => `0000000000000000      DF *UND*\t0000000000000000 (${of}) ${name}`;

  test("symbols up to glibc 2.28 and its own libraries are fine", () => {
    const text = ["  NEEDED               libc.so.6", "  NEEDED               libpthread.so.0"].join("\n");
    expect(tooNew(`${text}\n${symbol("expf", "GLIBC_2.27")}\n${symbol("fcntl64", "GLIBC_2.28")}`)).toEqual([]);
    expect(tooNew(symbol("malloc", "GLIBC_2.2.5"))).toEqual([]);
  });

  test("a newer symbol and another library are named", () => {
    const text = `  NEEDED               libstdc++.so.6\n${symbol("stat", "GLIBC_2.33")}\n${symbol("old", "GLIBC_3.1")}`;
    expect(tooNew(text)).toEqual([
      "it needs the library libstdc++.so.6",
      "stat is of glibc 2.33: give it an older version in native/portable/glibc_2_28.cpp",
      "old is of glibc 3.1: give it an older version in native/portable/glibc_2_28.cpp",
    ]);
  });
});

test("the package holds what its files link to", () => {
  const { files, repository, homepage, bugs, keywords } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const text of [repository.url, homepage, bugs]) expect(text).toContain("lowrank");
  expect(keywords).toContain("lora");
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const linked = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => path!.split("/")[0]!);
  expect(linked.length).toBeGreaterThan(5);
  for (const path of linked) expect([...files, "README.md", "LICENSE"]).toContain(path);
});

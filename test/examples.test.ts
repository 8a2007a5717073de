// The embedding examples, compiled against the package's own types and run as a user would.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tinyBase, workFolder } from "./support/tiny.js";

const root = new URL("..", import.meta.url).pathname;
const work = workFolder("examples");
afterAll(() => work.remove());

const FILES = ["embed-train", "embed-serve", "embed-compare"];
const run = (name: string, ...args: string[]) =>
  execFileSync(process.execPath, [work.path("out", `${name}.mjs`), ...args], { cwd: root, encoding: "utf8" });

beforeAll(() => {
  // `lowrank` as an installed package.
  mkdirSync(work.path("node_modules"));
  symlinkSync(root, work.path("node_modules/lowrank"));
  symlinkSync(`${root}/node_modules/@types`, work.path("node_modules/@types"));
  const flags =
    "--module nodenext --target es2023 --lib es2023,esnext.disposable,dom --strict --noEmitOnError --skipLibCheck --types node";
  for (const name of FILES) {
    // A copy, so that the compiler finds the package beside it.
    execFileSync("cp", [`${root}/examples/${name}.ts`, work.path(`${name}.mts`)]);
  }
  const files = FILES.map((name) => work.path(`${name}.mts`));
  execFileSync(`${root}/node_modules/.bin/tsc`, [...flags.split(" "), "--outDir", work.path("out"), ...files], {
    cwd: work.path(),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
});

describe("examples", () => {
  const adapter = work.path("adapter");

  test("embed-train learns what it is shown", () => {
    const output = run("embed-train", tinyBase, adapter);
    const losses = [...output.matchAll(/step \d+: loss ([\d.]+)/g)].map(([, loss]) => Number(loss));
    expect(losses).toHaveLength(3);
    expect(losses[2]).toBeLessThan(losses[0]! / 2);
    expect(JSON.parse(readFileSync(`${adapter}/adapter_config.json`, "utf8"))).toMatchObject({ r: 8 });
  });

  test("embed-serve answers with the base and with an adapter", () => {
    const output = run("embed-serve", tinyBase, adapter);
    const [base, adapted] = output
      .trim()
      .split("\n")
      .map((line) => line.slice(line.indexOf(": ") + 2));
    expect(adapted).toContain("leeks");
    expect(base).not.toBe(adapted);
  });

  test("embed-compare trains two at once", () => {
    const output = run("embed-compare", tinyBase);
    expect(output).toMatch(/r 2: [\d,]+ parameters, validation loss [\d.]+/);
    expect(output).toMatch(/best: r (2|16)/);
  });
});

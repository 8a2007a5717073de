// The embedding examples, checked against the package's own types and run as a user would.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { createInterface } from "node:readline";
import { afterAll, describe, expect, test } from "vitest";
import { tinyBase, workFolder } from "./support/tiny.js";

const root = new URL("..", import.meta.url).pathname;
const work = workFolder("examples");
afterAll(() => work.remove());

const FILES = ["embed-train", "embed-serve", "embed-compare", "train-and-serve"];
const run = (name: string, ...args: string[]) =>
  execFileSync(process.execPath, [`examples/${name}.mjs`, ...args], { cwd: root, encoding: "utf8" });

describe("examples", () => {
  const adapter = work.path("adapter");

  test("use the package as its types say", () => {
    // `lowrank` as an installed package, the examples beside it.
    mkdirSync(work.path("node_modules"));
    symlinkSync(root, work.path("node_modules/lowrank"));
    symlinkSync(`${root}/node_modules/@types`, work.path("node_modules/@types"));
    for (const name of FILES) cpSync(`${root}/examples/${name}.mjs`, work.path(`${name}.mjs`));
    const flags =
      "--module nodenext --target es2023 --lib es2023,esnext.disposable,dom --strict --noEmit --allowJs --checkJs --skipLibCheck --types node";
    const files = FILES.map((name) => work.path(`${name}.mjs`));
    execFileSync(`${root}/node_modules/.bin/tsc`, [...flags.split(" "), ...files], {
      cwd: work.path(),
      encoding: "utf8",
      stdio: ["ignore", "inherit", "inherit"],
    });
  });

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

  test("train-and-serve answers while it trains, and ends with the training", async () => {
    const child = spawn(process.execPath, ["examples/train-and-serve.mjs", tinyBase, "0"], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    const steps: string[] = [];
    const answers: string[] = [];
    let asking: Promise<void> | undefined;
    const ask = async (url: string) => {
      for (const path of ["/now", "/"]) {
        const response = await fetch(`${url}${path}?prompt=Soup%20number%207.`);
        expect(response.status).toBe(200);
        answers.push((await response.text()).trim());
      }
    };
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /^listening on (\S+)$/.exec(line)?.[1];
      if (url) asking = ask(url);
      else steps.push(line);
    }
    await asking;
    expect((await ended)[0]).toBe(0);
    expect(answers.map((text) => text.length > 0)).toEqual([true, true]);
    expect(steps.map((line) => line.split(":")[0])).toEqual(["step 10", "step 20", "step 30", "step 40"]);
  });
});

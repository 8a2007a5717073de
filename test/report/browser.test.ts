// The pages in a real browser: every look is drawn, nothing is loaded, nothing complains, and keys reach every number.
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readRun } from "../../src/report/facts.js";
import { writeReport } from "../../src/report/files.js";
import { Browser, findBrowser, type View } from "../support/browser.js";
import { temporaryFolders } from "../support/folders.js";
import { longRun } from "../support/runs.js";

const executable = findBrowser();
if (!executable) console.log("skipped: the pages in a browser. There is no Chromium; LOWRANK_BROWSER names one.");

const VIEWS: Record<string, View> = {
  light: { width: 1600, height: 1000 },
  dark: { width: 1600, height: 1000, dark: true },
  phone: { width: 390, height: 844, phone: true },
  "phone-dark": { width: 390, height: 844, phone: true, dark: true },
  print: { width: 794, height: 1123, print: true },
};

describe.skipIf(!executable)("in a browser", () => {
  const newFolder = temporaryFolders();
  /** LOWRANK_SCREENSHOTS names a folder that keeps the pictures. */
  const shots = process.env.LOWRANK_SCREENSHOTS;
  let browser: Browser;
  let url: string;

  beforeAll(async () => {
    browser = await Browser.start(executable!);
    const folder = newFolder();
    const runs = ["first", "second"].map((name, i) => {
      const own = join(folder, name);
      mkdirSync(own);
      const lines = longRun(20_000, i).map((line) => JSON.stringify(line));
      writeFileSync(join(own, "metrics.jsonl"), `${lines.join("\n")}\n`);
      return readRun(own);
    });
    const { page } = await writeReport(runs, folder);
    expect(statSync(page).size).toBeLessThan(5e6);
    url = pathToFileURL(page).href;
  }, 60_000);
  afterAll(async () => browser?.close());

  test.each(Object.keys(VIEWS))("%s: 20,000 steps open within a second, and fit the width", async (name) => {
    const milliseconds = await browser.open(url, VIEWS[name]!);
    const picture = await browser.screenshot();
    if (shots) writeFileSync(join(shots, `report-${name}.png`), picture);
    expect(milliseconds).toBeLessThan(1000);
    expect(await browser.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    const background = await browser.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    const isDark = VIEWS[name]!.dark === true;
    expect(Number(/\d+/.exec(background)![0]) < 100).toBe(isDark);
    expect(browser.problems).toEqual([]);
    expect(browser.requests.filter((request) => request !== url && !request.startsWith("data:"))).toEqual([]);
  });

  test("it prints", async () => {
    await browser.open(url, VIEWS.light!);
    const pdf = await browser.pdf();
    expect(pdf.subarray(0, 4).toString()).toBe("%PDF");
    expect(pdf.length).toBeLessThan(2e6);
  });

  test("every plot has a name, and its numbers are read by keys", async () => {
    await browser.open(url, VIEWS.light!);
    const unnamed =
      "[...document.querySelectorAll('svg,img,input,[role=group]')].filter((e) => !(e.getAttribute('aria-label') || e.alt)).length";
    expect(await browser.evaluate(unnamed)).toBe(0);
    const headings = "[...document.querySelectorAll('h1,h2,h3')].map((e) => e.tagName).join()";
    expect(await browser.evaluate(headings)).toMatch(/^H1,H2,H3/);
    await browser.press("Tab");
    expect(await browser.evaluate("document.activeElement.className")).toBe("skip");
    for (let i = 0; i < 20; i++) {
      if (await browser.evaluate("document.activeElement.type === 'range'")) break;
      await browser.press("Tab");
    }
    const reading = "document.activeElement.closest('figure').querySelector('output').textContent";
    const last = await browser.evaluate<string>(reading);
    expect(last).toMatch(/^step 20000: first, training /);
    await browser.press("ArrowLeft");
    expect(await browser.evaluate(reading)).not.toBe(last);
    expect(await browser.evaluate("document.activeElement.getAttribute('aria-valuetext')")).toMatch(
      /^step 19\d+: first, training /,
    );
    expect(browser.problems).toEqual([]);
  });
});

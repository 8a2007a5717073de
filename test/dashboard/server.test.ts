// The live page: its manners as a server, and its controls.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Controls, Dashboard } from "../../src/dashboard/index.js";
import { Browser, findBrowser } from "../support/browser.js";
import { temporaryFolders, tinyBase } from "../support/folders.js";
import { longRun } from "../support/runs.js";
import { lowrank, trainFile } from "../support/tiny.js";

const newFolder = temporaryFolders();
const open: Dashboard[] = [];
afterEach(async () => {
  for (const dashboard of open.splice(0)) await dashboard.close();
});

function runFolder(steps: number): string {
  const folder = newFolder();
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "metrics.jsonl"),
    longRun(steps)
      .map((line) => `${JSON.stringify(line)}\n`)
      .join(""),
  );
  return folder;
}

async function start(...folders: string[]): Promise<{ dashboard: Dashboard; controls: Controls }> {
  const controls = new Controls();
  const dashboard = await Dashboard.start(folders, controls);
  open.push(dashboard);
  return { dashboard, controls };
}

interface Asked {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** Status and text of an answer; of a stream, its first piece. */
function ask(
  { port }: { port: number },
  { method = "GET", path = "/", headers = {}, body }: Asked,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: "127.0.0.1", port, method, path, headers: { connection: "close", ...headers } },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (data: string) => {
          text += data;
          if (answer.headers["content-type"] === "text/event-stream" && text.includes("event: part")) answer.destroy();
        });
        answer.on("close", () => resolve({ status: answer.statusCode!, text }));
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

const tokenOf = ({ url }: Dashboard) => new URL(url).searchParams.get("token")!;

describe("manners", () => {
  test("no request and no folder ends the process", async () => {
    const damaged = newFolder();
    mkdirSync(join(damaged, "metrics.jsonl"));
    writeFileSync(join(damaged, "report.json"), "{");
    const { dashboard } = await start(runFolder(5), damaged);
    for (const path of ["//", "http://[", "//a:b/"]) expect((await ask(dashboard, { path })).status, path).toBe(400);
    expect((await ask(dashboard, { path: `/?token=${tokenOf(dashboard)}` })).status).toBe(200);
    const events = await ask(dashboard, { path: `/events?token=${tokenOf(dashboard)}` });
    expect(events.text).toContain("event: part");
  });

  test("the token opens the page, and nothing else does", async () => {
    const { dashboard } = await start(runFolder(5));
    expect(new URL(dashboard.url).hostname).toBe("127.0.0.1");
    const token = tokenOf(dashboard);
    expect(token.length).toBeGreaterThanOrEqual(32);
    const page = await ask(dashboard, { path: `/?token=${token}` });
    expect(page.status).toBe(200);
    expect(page.text).toContain("Stop and save");
    // The page itself does not hold it.
    expect(page.text).not.toContain(token);
    for (const path of ["/", "/?token=", `/?token=${token.slice(1)}`, `/?token=${token}x`, "/events", "/nothing"]) {
      expect((await ask(dashboard, { path })).status, path).toBe(403);
    }
    expect((await ask(dashboard, { path: `/nothing?token=${token}` })).status).toBe(404);
  });

  test("foreign hosts and origins are refused, with the token, too", async () => {
    const { dashboard, controls } = await start(runFolder(5));
    const { port } = dashboard;
    const token = tokenOf(dashboard);
    const path = `/?token=${token}`;
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1", `127.0.0.1:${port + 1}`])
      expect((await ask(dashboard, { path, headers: { host } })).status, host).toBe(403);
    expect((await ask(dashboard, { path, headers: { host: `localhost:${port}` } })).status).toBe(200);
    const pause = { method: "POST", path: "/pause" };
    const own = { "x-lowrank-token": token };
    for (const origin of ["http://evil.example", "null", `http://127.0.0.1:${port + 1}`])
      expect((await ask(dashboard, { ...pause, headers: { ...own, origin } })).status, origin).toBe(403);
    expect((await ask(dashboard, { ...pause, path: `/pause?token=${token}` })).status).toBe(403);
    expect(controls.paused).toBe(false);
    expect((await ask(dashboard, { ...pause, headers: { ...own, origin: `http://127.0.0.1:${port}` } })).status).toBe(
      200,
    );
    expect(controls.paused).toBe(true);
  });

  test("parts come as events, of several runs, and later lines in later parts", async () => {
    const [first, second] = [runFolder(5), runFolder(9)];
    const { dashboard } = await start(first, second);
    const path = `/events?token=${tokenOf(dashboard)}`;
    expect((await ask(dashboard, { path })).text).toMatch(
      /event: status\ndata: .*"paused":false[\s\S]*<td class=\\"n\\">9<\/td>/,
    );
    appendFileSync(join(first, "metrics.jsonl"), '{"step":77,"loss":1}\n{"step":78,"lo');
    expect((await ask(dashboard, { path })).text).toContain('<td class=\\"n\\">77</td>');
  });
});

describe("controls", () => {
  const never = new AbortController().signal;

  test("a paused run waits, writes texts meanwhile, and goes on", async () => {
    const controls = new Controls();
    controls.pause();
    let isOver = false;
    const between = controls
      .between(async (prompt) => `${prompt}!`, never)
      .then(() => {
        isOver = true;
      });
    expect(await controls.sample("one")).toBe("one!");
    expect(isOver).toBe(false);
    controls.resume();
    await between;
    // A run that is not paused does not wait.
    await controls.between(async () => "", never);
  });

  test("stopping ends a pause, and a text that fails is its own failure", async () => {
    const controls = new Controls();
    const wish = controls.sample("one");
    controls.pause();
    const between = controls.between(() => Promise.reject(new Error("no room")), controls.signal);
    await expect(wish).rejects.toThrow("no room");
    controls.stop();
    await between;
    expect(controls.signal.aborted).toBe(true);
    const late = controls.sample("two");
    controls.end();
    await expect(late).rejects.toThrow("The run is over.");
    await expect(controls.sample("three")).rejects.toThrow("The run is over.");
  });
});

test("a run of the command is paused, writes a sample, is stopped and saved; the token stands in no file", async () => {
  const output = newFolder();
  const args = ["train", "--base_model", tinyBase, "--train_file", trainFile, "--output_dir", output, "--no-merge"];
  let url: URL | undefined;
  const asked: Promise<unknown>[] = [];
  const { code, stderr } = await lowrank(
    [...args, "--max_steps", "5000", "--threads", "1", "--dashboard", "--eval_strategy", "no"],
    {
      onOutput: (_, text) => {
        const found = /live page: (\S+)/.exec(text)?.[1];
        if (!found || url) return;
        url = new URL(found);
        const token = url.searchParams.get("token")!;
        const to = { port: Number(url.port) };
        const post = (path: string, body = "") =>
          ask(to, { method: "POST", path, body, headers: { "x-lowrank-token": token } });
        asked.push(
          post("/pause")
            .then(() => post("/sample", "Take two eggs"))
            .then(async (sample) => [sample, await post("/stop")]),
        );
      },
    },
  );
  expect(code, stderr).toBe(0);
  const [[sample, stopped]] = (await Promise.all(asked)) as [[{ status: number; text: string }, { status: number }]];
  expect([sample.status, stopped.status]).toEqual([200, 200]);
  expect(sample.text.length).toBeGreaterThan(0);
  expect(readFileSync(join(output, "adapter_model.safetensors")).length).toBeGreaterThan(1000);
  const token = url!.searchParams.get("token")!;
  for (const name of ["train.log", "report.json", "report.html", "metrics.jsonl"])
    expect(readFileSync(join(output, name), "utf8"), name).not.toContain(token);
  expect(JSON.parse(readFileSync(join(output, "report.json"), "utf8")).state).toBe("stopped");
});

const executable = findBrowser();
if (!executable) console.log("skipped: the live page in a browser. There is no Chromium; LOWRANK_BROWSER names one.");

test.skipIf(!executable)(
  "in a browser the page follows the run, and its buttons work by keys",
  async () => {
    const folder = runFolder(30);
    const { dashboard, controls } = await start(folder);
    const browser = await Browser.start(executable!);
    const shots = process.env.LOWRANK_SCREENSHOTS;
    // The slower the machine draws, the longer the page waits between two looks at the run.
    const until = async (expression: string) => {
      for (let i = 0; i < 1000; i++) {
        if (await browser.evaluate(expression)) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`not so after 50 s: ${expression}`);
    };
    try {
      dashboard.event({ type: "start", steps: 40, steps_per_epoch: 40, warmup_steps: 0 });
      await browser.open(dashboard.url, { width: 1200, height: 900 });
      await until("document.getElementById('status').textContent.includes('of 40')");
      if (shots) writeFileSync(join(shots, "live.png"), await browser.screenshot());
      await browser.evaluate("document.getElementById('pause').focus()");
      await browser.press("Enter");
      await until("document.getElementById('pause').textContent === 'Go on'");
      expect(controls.paused).toBe(true);
      appendFileSync(join(folder, "metrics.jsonl"), '{"step":31,"loss":1.25}\n');
      await until(
        "document.querySelector('[data-part=plot-loss] output').textContent.startsWith('step 31: training 1.25')",
      );
      const unnamed =
        "[...document.querySelectorAll('button,textarea,input')].filter((e) => !(e.textContent || e.getAttribute('aria-label') || e.labels?.length)).length";
      expect(await browser.evaluate(unnamed)).toBe(0);
      expect(browser.problems).toEqual([]);
    } finally {
      await browser.close();
    }
  },
  120_000,
);

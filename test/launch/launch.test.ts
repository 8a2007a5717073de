// The launcher over a small script in the place of mpirun, and over the real one where it is installed.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type LaunchOptions, launch } from "../../src/launch/index.js";
import { kindOf } from "../../src/launch/mpirun.js";
import { Restarts, type Token } from "../../src/launch/restart.js";
import { temporaryFolders } from "../support/folders.js";

const temporaryFolder = temporaryFolders();
const standIn = fileURLToPath(new URL("../support/stand-in-rank.mjs", import.meta.url));
const RULE = "-".repeat(74);
const KILLED = `printf '%s\\n' "${RULE}" "mpirun noticed that process rank 1 with PID 9 on node b exited on signal 9 (Killed)." "${RULE}" >&2; exit 137`;
const telling = (rank: number, what: string) =>
  `printf '\\036{"rank":${rank},"host":"h","pid":999999999,"what":"${what}"}\\n' >&2`;
const JOINED = [0, 1].flatMap((rank) => [telling(rank, "ready"), telling(rank, "joined")]);

/**
 * A folder with an mpirun that notes its arguments in `calls`, and does what the lines say: one line a start.
 * @returns the environment that finds it, and the arguments of each start
 */
function fakeMpirun(...starts: string[]) {
  const folder = temporaryFolder();
  const calls = join(folder, "calls");
  const cases = starts.map((line, i) => `${i + 1}) ${line} ;;`).join("\n");
  const script = `#!/bin/sh
[ "$1" = --version ] && { echo "mpirun (Open MPI) 4.1.4"; exit 0; }
printf '%s\\n' "$*" >>"${calls}"
case $(wc -l <"${calls}" | tr -d ' ') in
${cases}
*) exit 99 ;;
esac
`;
  writeFileSync(join(folder, "mpirun"), script);
  chmodSync(join(folder, "mpirun"), 0o755);
  const environment = { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
  return { environment, calls: () => readFileSync(calls, "utf8").trim().split("\n") };
}

const options = (o: Partial<LaunchOptions> = {}): LaunchOptions => ({
  nproc_per_node: 2,
  hosts: undefined,
  max_restarts: 0,
  output_dir: join(temporaryFolder(), "out"),
  resume: undefined,
  overwrite_output_dir: false,
  dashboard: false,
  ...o,
});

interface Started {
  done: Promise<void>;
  stop: () => void;
  said: () => string;
  printed: () => string;
}

function start(o: LaunchOptions, environment: NodeJS.ProcessEnv, tokens: Token[] = [], command = ["rank"]): Started {
  const controller = new AbortController();
  let said = "";
  let printed = "";
  const done = launch(o, {
    ...{ tokens, secrets: new Map<string, string>(), command, signal: controller.signal, environment },
    stdout: (data) => {
      printed += data;
    },
    stderr: (text) => {
      said += text;
    },
  });
  done.catch(() => {});
  return { done, stop: () => controller.abort("SIGINT"), said: () => said, printed: () => printed };
}

/** Returns when the output matches. Where the launch ends before, its error and what it said are the test's error. */
async function comesTo(run: Started, output: RegExp): Promise<void> {
  const ended = run.done.then(
    () => "without an error",
    (error) => error,
  );
  while (!output.test(run.printed())) {
    const end = await Promise.race([ended, after(20, null)]);
    if (end !== null) throw new Error(`the launch ended before its output was ${output}: ${end}\n${run.said()}`);
  }
}

const lora: Token = { name: "lora_r", text: "--lora_r=4" };

test("output of the ranks passes through, and a run that ends well is one start", async () => {
  const { environment, calls } = fakeMpirun("echo result; echo line >&2; exit 0");
  const run = start(options(), environment, [lora]);
  await run.done;
  expect([run.printed(), run.said()]).toEqual(["result\n", "line\n"]);
  expect(calls()).toHaveLength(1);
  expect(calls()[0]).toMatch(/^-n 2 --host localhost:2 --bind-to none .*rank --lora_r=4$/);
});

test("a lost rank: started again from the checkpoint that this run wrote, then given up with the last cause", async () => {
  const output_dir = join(temporaryFolder(), "out");
  const make = `mkdir -p ${output_dir}/checkpoint-12`;
  const { environment, calls } = fakeMpirun(KILLED, `${make}; ${KILLED}`, KILLED.replace("rank 1", "rank 0"));
  const run = start(options({ max_restarts: 2, output_dir }), environment, [lora]);
  await expect(run.done).rejects.toMatchObject({
    code: "E_RANK",
    message: expect.stringMatching(/^rank 0 on b was ended by signal 9 .* This was the last of 2 restarts/),
  });
  expect(run.said()).toMatch(
    /warning: rank 1 on b was ended by signal 9[^\n]*\n.*\(restart 1 of 2\) from where it began/,
  );
  expect(run.said()).toMatch(/\(restart 2 of 2\) from checkpoint-12 of /);
  expect(calls().map((line) => line.replace(/.* rank/, ""))).toEqual([
    " --lora_r=4",
    " --lora_r=4 --resume=auto",
    " --lora_r=4 --resume=auto",
  ]);
});

test("without restarts the message says how to go on", async () => {
  const { environment } = fakeMpirun(KILLED);
  await expect(start(options(), environment).done).rejects.toThrow(/--max_restarts N starts again/);
});

test("an error that a rank tells of would come again: no restart", async () => {
  const record = '{"rank":1,"host":"b","pid":1,"what":"error","error":{"code":"E_FILE","message":"no file"}}';
  const { environment, calls } = fakeMpirun(`printf '\\036%s\\n' '${record}' >&2; exit 1`);
  const failed = start(options({ max_restarts: 3 }), environment).done;
  await expect(failed).rejects.toMatchObject({ code: "E_FILE", message: "rank 1 on b: no file" });
  expect(calls()).toHaveLength(1);
});

test("a stop asks the ranks by SIGUSR2 once all have met, and no restart follows", async () => {
  const { environment, calls } = fakeMpirun(
    `trap 'echo saved; exit 0' USR2; ${JOINED.join("; ")}; echo up; while :; do sleep 0.05; done`,
  );
  const run = start(options({ max_restarts: 3 }), environment);
  await comesTo(run, /^up\n$/);
  run.stop();
  await run.done;
  expect(run.printed()).toBe("up\nsaved\n");
  expect(calls()).toHaveLength(1);
});

test("a stop before all ranks have met ends them at once", async () => {
  const { environment } = fakeMpirun(
    `trap 'exit 1' TERM; trap 'echo wrong' USR2; ${JOINED[0]}; ${JOINED[1]}; ${JOINED[2]}; echo up; while :; do sleep 0.05; done`,
  );
  const run = start(options(), environment);
  await comesTo(run, /^up\n$/);
  run.stop();
  await run.done;
  expect(run.printed()).toBe("up\n");
});

test("an mpirun that does not end after a rank has failed is killed, and its files are removed", async () => {
  const files = 'mkdir -p "$OMPI_MCA_orte_top_session_dir/pid.1/0"';
  const { environment } = fakeMpirun(`${files}; trap '' TERM; ${KILLED.replace("exit 137", "exec sleep 60")}`);
  const TMPDIR = temporaryFolder();
  const begun = performance.now();
  await expect(start(options(), { ...environment, TMPDIR }).done).rejects.toThrow(/rank 1 on b was ended by signal 9/);
  // The clock decides here, not the machine's speed: the bound is the launcher's promise.
  expect(performance.now() - begun).toBeLessThan(30_000);
  expect(readdirSync(TMPDIR)).toEqual([]);
});

test("the live page is refused", async () => {
  await expect(start(options({ dashboard: true }), {}).done).rejects.toThrow(/--dashboard: a run of several ranks/);
});

test("checkpoints of an earlier run are never taken for this one's", () => {
  const folder = temporaryFolder();
  const tokens: Token[] = [lora, { name: "overwrite_output_dir", text: "--overwrite_output_dir=true" }];
  const texts = (found: Token[]) => found.map(({ text }) => text);
  mkdirSync(join(folder, "checkpoint-90"));
  const replacing = new Restarts(folder, tokens, true);
  const refused = new Restarts(folder, [lora], false);
  expect([replacing.newest(), refused.newest()]).toEqual([null, null]);
  expect(texts(replacing.again())).toEqual(texts(tokens));
  expect(texts(refused.again())).toEqual(["--lora_r=4"]);
  mkdirSync(join(folder, "checkpoint-5"));
  mkdirSync(join(folder, "checkpoint-10"));
  expect(replacing.newest()).toBe("checkpoint-10");
  expect(texts(replacing.again())).toEqual(["--lora_r=4", "--resume=auto"]);
  // From a named checkpoint elsewhere: from there again, as long as this run has none of its own.
  const elsewhere = [lora, { name: "resume", text: "--resume=/x/checkpoint-3" }];
  expect(texts(new Restarts(join(folder, "new"), elsewhere, true).again())).toEqual(texts(elsewhere));
});

test("the command line: ranks are started with the options, no secret, and the exit code of the signal", async () => {
  const { environment, calls } = fakeMpirun(
    `printf 'token %s\\n' "$LOWRANK_HUB_TOKEN"; trap 'exit 0' USR2; ${JOINED.join("; ")}; echo up; while :; do sleep 0.05; done`,
  );
  const cli = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  const args = "--base_model b --train_file t --nproc_per_node 2 --max_restarts 1 --hub_token geheim".split(" ");
  const child = spawn(process.execPath, [cli, "train", ...args], { env: environment });
  let printed = "";
  child.stdout.on("data", (data) => {
    printed += data;
    if (printed.includes("up\n")) child.kill("SIGINT");
  });
  const [code] = await new Promise<unknown[]>((resolve) => child.on("close", (...end) => resolve(end)));
  expect([code, printed]).toEqual([130, "token geheim\nup\n"]);
  const call = calls().join("\n");
  expect(call).toMatch(/-x LOWRANK_HUB_TOKEN .*main\.js train --base_model=b --train_file=t$/);
  expect(call).not.toContain("geheim");
});

test("mpirun and its ranks end with a launcher that was killed", async () => {
  const ended = join(temporaryFolder(), "ended");
  const { environment } = fakeMpirun(`trap 'echo >"${ended}"; exit 1' TERM; echo up; while :; do sleep 0.05; done`);
  const cli = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  const args = "train --base_model b --train_file t --nproc_per_node 2".split(" ");
  const child = spawn(process.execPath, [cli, ...args], { env: environment });
  child.stdout.on("data", () => child.kill("SIGKILL"));
  await expect.poll(() => existsSync(ended), { timeout: 30_000 }).toBe(true);
});

const installed = kindOf(spawnSync("mpirun", ["--version"], { encoding: "utf8" }).stdout ?? "");
const isThere = installed.name === "Open MPI";
if (!isThere) process.stderr.write("skipped: the launcher over the real mpirun, which is not installed\n");

test.skipIf(!isThere)("the real mpirun: a stop, an error, an early end, a kill and an end", async () => {
  const command = [process.execPath, standIn];
  const ranks = (what: string, more = {}) => start(options(more), { ...process.env, STAND_IN: what }, [lora], command);
  const bothUp = /rank [01] --lora_r=4\r?\nrank [01] --lora_r=4/;
  const runs = {
    stopped: ranks(""),
    failed: ranks("1:error", { max_restarts: 1 }),
    exited: ranks("1:exit"),
    killed: ranks("1:kill"),
    ended: ranks("0:end"),
  };
  const killedBegun = performance.now();
  const all = Promise.allSettled([runs.failed.done, runs.exited.done, runs.killed.done, runs.ended.done]);
  await comesTo(runs.stopped, bothUp);
  await after(500);
  runs.stopped.stop();
  await runs.stopped.done;
  expect(
    runs.stopped
      .printed()
      .replaceAll("\r", "")
      .split("\n")
      .filter((line) => / saved$/.test(line))
      .sort(),
  ).toEqual(["rank 0 saved", "rank 1 saved"]);
  const [failed, exited, killed, ended] = await all;
  expect(performance.now() - killedBegun).toBeLessThan(60_000);
  expect(failed).toMatchObject({
    reason: { code: "E_FILE", message: expect.stringMatching(/^rank 1 on \S+: no such/) },
  });
  expect(exited).toMatchObject({ reason: { message: expect.stringMatching(/^rank 1 on \S+ ended with code 7/) } });
  expect(killed).toMatchObject({ reason: { message: expect.stringMatching(/^rank 1 on \S+ was ended by signal 9/) } });
  expect(ended).toMatchObject({ status: "fulfilled" });
  for (const run of Object.values(runs)) expect(run.said()).toBe("");
});

test.skipIf(!isThere)("the real mpirun: a launch shares no folder with others, and leaves none", async () => {
  const TMPDIR = temporaryFolder();
  const shared = `ompi.${hostname().split(".")[0]}.${process.getuid?.()}`;
  // In the folder's place: what another mpirun does to it depends on the moment.
  writeFileSync(join(TMPDIR, shared), "");
  const environment = { ...process.env, TMPDIR, STAND_IN: "0:end" };
  if (installed.version?.startsWith("4.")) {
    const args = ["-n", "1", ...(process.getuid?.() === 0 ? ["--allow-run-as-root"] : []), "true"];
    const { status, stderr } = spawnSync("mpirun", args, { env: environment, encoding: "utf8" });
    expect(status, stderr).not.toBe(0);
  }
  const run = start(options(), environment, [lora], [process.execPath, standIn]);
  await run.done;
  expect(run.printed()).toMatch(/rank 0 --lora_r=4/);
  expect(readdirSync(TMPDIR)).toEqual([shared]);
});

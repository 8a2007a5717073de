// No secret of the environment, of netrc or of an option is in anything that a command prints, writes or uploads. Trackers cost a run nothing:
// the servers hang, the process is killed, and every line is there when they are back.
import type { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { temporaryFolders, writeIn } from "../support/folders.js";
import { HubServer } from "../support/hub-server.js";
import { MlflowServer } from "../support/mlflow-server.js";
import { jsonLines, lowrank, type RunOptions, someTexts, tinyBase } from "../support/tiny.js";
import { WandbServer } from "../support/tracker-server.js";

const HUB = "hf_secretOfTheEnvironment";
const PUSHED = "hf_secretOfAnOption";
const WANDB = "fedcba9876543210fedcba9876543210fedcba98";
const MLFLOW = "secret-of-mlflow";
const PROXY = "secret-of-the-proxy";
const base64 = (text: string) => Buffer.from(text).toString("base64");
const SECRETS = [
  HUB,
  PUSHED,
  WANDB,
  MLFLOW,
  PROXY,
  base64(`api:${WANDB}`),
  base64(`me:${MLFLOW}`),
  base64(`me:${PROXY}`),
];

const newFolder = temporaryFolders();
const hub = HubServer.forTests();
const wandb = new WandbServer();
const mlflow = new MlflowServer();

const home = newFolder();
const texts = someTexts(join(newFolder(), "train.jsonl"), 12);
const TRAIN = [
  ...["--base_model", tinyBase, "--train_file", texts, "--lora_r", "2", "--max_seq_length", "16", "--threads", "1"],
  ...["--per_device_train_batch_size", "1", "--logging_steps", "1", "--eval_strategy", "no", "--save_steps", "2"],
];

const environment = () => ({
  ...{ HOME: home, XDG_CACHE_HOME: home, HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_TOKEN: HUB, HF_HUB_OFFLINE: "" },
  ...{ WANDB_BASE_URL: wandb.url, MLFLOW_TRACKING_URI: mlflow.url.replace("//", `//me:${MLFLOW}@`) },
});

/** Runs a command, and holds all that it printed, and all files below some folders, against the secrets. */
async function quiet(args: string[], folders: string[], more: RunOptions = {}) {
  const finished = await lowrank(args, { ...more, env: { ...environment(), ...more.env } });
  const found = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((path) => statSync(path).isFile())
      .map((path) => ({ where: path, text: readFileSync(path, "latin1") })),
  );
  const uploaded = [...hub.repositories.values()].flatMap(({ files }) =>
    Object.entries(files).map(([where, content]) => ({ where, text: content.toString("latin1") })),
  );
  const printed = [
    { where: "stdout", text: finished.stdout },
    { where: "stderr", text: finished.stderr },
  ];
  const told = [...printed, ...found, ...uploaded].filter(({ text }) =>
    SECRETS.some((secret) => text.includes(secret)),
  );
  expect(told.map(({ where }) => where)).toEqual([]);
  return finished;
}

async function succeeds(args: string[], folders: string[]): Promise<void> {
  const { code, stderr } = await quiet(args, folders);
  expect([code, stderr]).toEqual([0, expect.anything()]);
}

test("servers that hang stop no step, a killed process loses no line, and no command tells a secret", async () => {
  writeIn(home, ".netrc", `machine 127.0.0.1 login user password ${WANDB}\n`);
  hub.writes.accounts.set(PUSHED, { name: "someone", role: "write", orgs: [] });
  const output = join(newFolder(), "out");
  const tracked = ["train", ...TRAIN, "--output_dir", output, "--report_to", "wandb,mlflow"];

  // No request is ever answered: a step that waited for one would not end.
  for (const server of [wandb, mlflow]) server.fault = () => true;
  let child: ReturnType<typeof spawn> | undefined;
  const killed = quiet([...tracked, "--max_steps", "6"], [], {
    onOutput: (own) => {
      child = own;
    },
  });
  await vi.waitFor(() => expect(existsSync(join(output, "checkpoint-6", "manifest.json"))).toBe(true), {
    timeout: 120_000,
    interval: 20,
  });
  child!.kill("SIGKILL");
  expect((await killed).signal).toBe("SIGKILL");
  expect(jsonLines(join(output, "metrics.jsonl")).map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);

  for (const server of [wandb, mlflow]) server.fault = () => false;
  const push = ["--push_to_hub", "--hub_model_id", "someone/lora", "--hub_token", PUSHED];
  const again = await quiet([...tracked, "--max_steps", "8", "--resume", ...push], [output]);
  expect([again.code, again.stderr]).toEqual([0, expect.stringContaining("going on after step 6")]);
  const steps = [1, 2, 3, 4, 5, 6, 7, 8];
  const [shown] = [...wandb.runs.values()];
  const lines = shown!.history.map((line) => JSON.parse(line.replaceAll(/:(NaN|-?Infinity)\b/g, ":null")));
  expect(lines.filter((line) => "train/loss" in line).map((line) => line["train/global_step"])).toEqual(steps);
  const [run] = [...mlflow.runs.values()];
  const losses = run!.metrics.filter(({ key }) => key === "loss" || key === "train/loss" || key === "train_loss");
  expect([...new Set(losses.map(({ step }) => step))].slice(0, 8)).toEqual(steps);
  expect(hub.repositories.has("someone/lora")).toBe(true);
  // The secrets were used: netrc's, the address's, and the option's, which alone may push.
  const sent = (seen: { headers: NodeJS.Dict<string | string[]> }[]) =>
    new Set(seen.map(({ headers }) => headers.authorization));
  expect(sent(wandb.seen)).toContain(`Basic ${base64(`api:${WANDB}`)}`);
  expect(sent(mlflow.seen)).toContain(`Basic ${base64(`me:${MLFLOW}`)}`);

  const adapter = ["--base_model", tinyBase, "--adapter", output, "--threads", "1"];
  await succeeds(["eval", ...adapter, "--validation_file", texts, "--max_seq_length", "16"], [output]);
  await succeeds(["generate", ...adapter, "--prompt", "The", "--max_new_tokens", "1"], [output]);
  const to = ["push", output, "someone/again", "--hub_token", PUSHED];
  await succeeds(to, [output]);
  const swept = join(newFolder(), "swept");
  const sweep = [
    "sweep",
    ...TRAIN,
    "--output_dir",
    swept,
    "--ranks",
    "1,2",
    "--max_steps",
    "2",
    "--report_to",
    "wandb,mlflow",
  ];
  await succeeds(sweep, [swept]);

  // Errors: the servers refuse what they were sent and repeat it, and a proxy that is not there.
  for (const server of [wandb, mlflow])
    server.fault = ({ headers }, response) => {
      response.writeHead(401, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: `${headers.authorization} ${WANDB} ${MLFLOW}` }));
      return true;
    };
  const refused = join(newFolder(), "refused");
  const lone = ["train", ...TRAIN, "--output_dir", refused, "--max_steps", "2", "--report_to", "wandb,mlflow"];
  await succeeds(lone, [refused]);
  const proxy = { HTTP_PROXY: `http://me:${PROXY}@127.0.0.1:9`, NO_PROXY: "" };
  const far = await quiet(["inspect", "someone/elsewhere"], [], {
    env: { ...proxy, http_proxy: proxy.HTTP_PROXY, no_proxy: "", HF_ENDPOINT: "http://hub.invalid" },
  });
  expect([far.code === 0, far.stderr]).toEqual([false, expect.stringContaining("hub.invalid")]);
  hub.writes.accounts.clear();
  expect((await quiet(to, [output])).code).not.toBe(0);
}, 300_000);

// Adapters pushed to a hub of the tests' own that speaks the real protocol, and fails in every way.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { run as pushCommand } from "../../src/commands/push.js";
import { commands, optionsFrom } from "../../src/config/index.js";
import { adapterFiles, type HubSettings, hubSettings, push, pushTarget, snapshotFolder } from "../../src/hub/index.js";
import { Model, pushToHub, Trainer } from "../../src/index.js";
import { filesToPush } from "../../src/setup/push.js";
import { editJson, errorOf, temporaryFolders } from "../support/folders.js";
import { type Fault, HubServer } from "../support/hub-server.js";
import { peerPython, printedByPython } from "../support/python.js";
import { type Finished, lowrank, type RunOptions, someTexts, tinyBase } from "../support/tiny.js";

const NAME = "someone/lora";
const BASE = "someone/tiny-base";
const TOKEN = "hf_secretSecretSecret";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

const folder = temporaryFolders();
const hub = HubServer.forTests();
const adapter = folder();
let settings: HubSettings;
let waits: number[];
/** Everything that any command has printed, and every error. */
let printed = "";

beforeAll(async () => {
  await using model = await Model.open(tinyBase, { threads: 1 });
  await using trainer = await Trainer.create(model, { train: ["one", "two"], lora_r: 2, max_seq_length: 8 });
  await trainer.save(adapter);
});

beforeEach(() => {
  hub.writes.accounts.set(TOKEN, { name: "someone", role: "write", orgs: [{ name: "an-org", roleInOrg: "write" }] });
  settings = hubSettings({ HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: folder(), HF_TOKEN: TOKEN, HF_HOME: folder() });
  waits = [];
});

const wait = async (ms: number) => void waits.push(ms);
const target = (name = NAME, isPrivate?: boolean, more: Partial<HubSettings> = {}) =>
  pushTarget(name, isPrivate, { ...settings, ...more }, { wait });
const warn = () => {};

async function pushed(from = adapter, o: { base_model?: string; revision?: string } = {}) {
  const to = await target();
  return push(to, filesToPush(from, to, { ...o, warn }), "A title", { wait });
}
const stored = (path: string, name = NAME) => String(hub.repositories.get(name)!.files[path]);
const paths = () => hub.writes.requests.map(({ method, path, host }) => `${host} ${method} ${path.split("?")[0]}`);

/** The error of a push that fails; kept for the search for secrets. */
async function refusal(call: () => unknown) {
  const error = await errorOf(call);
  printed += error.message;
  return error;
}

test.each(["beside tokenizer.json", "alone"])("SentencePiece's model is pushed as it is, %s", async (how) => {
  const from = join(folder(), "adapter");
  cpSync(adapter, from, { recursive: true });
  const model = readFileSync(new URL("../fixtures/sentence-piece/bpe.model", import.meta.url));
  writeFileSync(join(from, "tokenizer.model"), model);
  if (how === "alone") rmSync(join(from, "tokenizer.json"));
  await pushed(from);
  const { files } = hub.repositories.get(NAME)!;
  expect(Buffer.from(files["tokenizer.model"]!).equals(model)).toBe(true);
  expect(Object.keys(JSON.parse(stored("tokenizer.json")))).toContain("model");
});

test("a pushed adapter comes back as it was, with the name of its base and no path of this machine", async () => {
  const { url, commit } = await pushed(adapter, { base_model: BASE });
  expect([url, commit]).toEqual([`${hub.endpoint}/${NAME}`, hub.repositories.get(NAME)!.commit]);
  const repository = { type: "model", name: NAME, revision: "main" } as const;
  const back = await snapshotFolder(repository, adapterFiles, { settings });
  const weights = (at: string) => readFileSync(join(at, "adapter_model.safetensors"));
  expect(weights(back).equals(weights(adapter))).toBe(true);
  const before = JSON.parse(readFileSync(join(adapter, "adapter_config.json"), "utf8"));
  expect(JSON.parse(stored("adapter_config.json"))).toEqual({ ...before, base_model_name_or_path: BASE });
  expect(stored("README.md")).toMatch(
    new RegExp(`^---\nbase_model: ${BASE}\nlibrary_name: peft\npipeline_tag: text-generation\n`),
  );
  expect(stored("README.md")).toContain(`from_pretrained("${NAME}")`);
  const { files } = hub.repositories.get(NAME)!;
  expect(Object.keys(files)).toEqual(expect.arrayContaining(["tokenizer.json", "tokenizer_config.json"]));
  for (const text of Object.values(files))
    expect(String(text)).not.toMatch(new RegExp(`${tinyBase}|${adapter}|${TOKEN}`));
  // The store of large files is another host.
  for (const { host, authorization } of hub.writes.requests)
    expect(authorization).toBe(host === "hub" ? `Bearer ${TOKEN}` : undefined);
});

test("--dry_run counts the bytes of the files", async () => {
  const from = folder();
  cpSync(adapter, from, { recursive: true });
  writeFileSync(join(from, "README.md"), "# Größe in Ελληνικά\n");
  const to = await target();
  const env = { HF_ENDPOINT: hub.endpoint, HF_TOKEN: TOKEN, HF_HOME: folder(), HF_HUB_OFFLINE: "0" };
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const { options } = optionsFrom(commands.push, { adapter: from, hub_model_id: NAME, dry_run: true, json: true });
  await pushCommand(options);
  const told = JSON.parse(String(write.mock.lastCall![0]));
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await push(to, filesToPush(from, to, { warn }), "A title", { wait });
  const { files } = hub.repositories.get(NAME)!;
  const sizes = told.files.map((path: string) => Buffer.byteLength(files[path]!));
  expect(told.bytes).toBe(sizes.reduce((sum: number, size: number) => sum + size, 0));
});

test("a base that is a folder is named by nobody, and said so", async () => {
  const warnings: string[] = [];
  const to = await target();
  await push(to, filesToPush(adapter, to, { warn: (line) => warnings.push(line) }), "A title", { wait });
  expect(warnings).toEqual([expect.stringContaining(`lowrank push ${adapter} ${NAME} --base_model OWNER/NAME`)]);
  expect(JSON.parse(stored("adapter_config.json")).base_model_name_or_path).toBeNull();
  expect(stored("README.md")).not.toMatch(/^base_model:/m);
});

test("files of a run and of a checkpoint stay here; paths in the tokenizer's settings are left out", async () => {
  const from = folder();
  cpSync(adapter, from, { recursive: true });
  for (const name of ["train.log", "optimizer.safetensors", "manifest.json"]) writeFileSync(join(from, name), "x");
  const config = join(from, "tokenizer_config.json");
  editJson(config, { name_or_path: tinyBase, tokenizer_file: "/root/x/tokenizer.json", model_max_length: 512 });
  await pushed(from);
  expect(Object.keys(hub.repositories.get(NAME)!.files).sort()).toEqual(
    readdirSync(adapter)
      .filter((name) => name !== ".adapter.tmp")
      .sort(),
  );
  const before = JSON.parse(readFileSync(config, "utf8"));
  const { name_or_path: _, tokenizer_file: __, ...others } = before;
  expect(JSON.parse(stored("tokenizer_config.json"))).toEqual(others);
});

test("a file with the token in it is not pushed", async () => {
  const from = folder();
  cpSync(adapter, from, { recursive: true });
  writeFileSync(join(from, "README.md"), `export HF_TOKEN=${TOKEN}`);
  expect(await refusal(() => pushed(from))).toMatchObject({ code: "E_PUSH_PRIVATE", where: "README.md" });
  expect(hub.repositories.size).toBe(0);
});

test("a second push changes the repository that is there; large files that are there are not sent again", async () => {
  await pushed();
  const first = paths();
  hub.writes.requests.length = 0;
  await pushed();
  const second = paths();
  expect(first.filter((path) => /PUT|create/.test(path))).toHaveLength(2);
  expect(second.filter((path) => /PUT|create/.test(path))).toEqual([]);
});

test("large files come in parts where the hub asks for it", async () => {
  const from = folder();
  cpSync(adapter, from, { recursive: true });
  hub.writes.partsFrom = 1;
  await pushed(from);
  const weights = readFileSync(join(from, "adapter_model.safetensors"));
  expect(weights.equals(hub.repositories.get(NAME)!.files["adapter_model.safetensors"] as Buffer)).toBe(true);
  expect(paths().filter((path) => path.includes("/lfs/complete/"))).toHaveLength(1);
});

test("large files go to the content-addressed store where the hub has one, with that store's token alone", async () => {
  hub.writes.isXet = true;
  await pushed();
  const toStore = hub.writes.requests.filter(({ host }) => host === "store");
  const shown = toStore.map(({ path, authorization }) => [path.split("/").slice(0, 3).join("/"), authorization]);
  expect(shown).toEqual([
    ["/v1/xorbs", "Bearer xet-do-not-show-this"],
    ["/v1/shards", "Bearer xet-do-not-show-this"],
  ]);
});

describe("what can be known before is refused before", () => {
  const account = (role: "read" | "fineGrained", permissions: string[], of = "someone") => {
    const fineGrained = { scoped: [{ entity: { type: "user", name: of }, permissions }] };
    hub.writes.accounts.set(TOKEN, { name: "someone", role, ...(role === "fineGrained" && { fineGrained }) });
  };
  test.each<[string, string, RegExp, () => Promise<unknown>]>([
    [
      "no token",
      "E_HUB_ACCESS",
      /There is no token .* set HF_TOKEN/,
      () => target(NAME, undefined, { token: undefined }),
    ],
    [
      "a token that is none",
      "E_HUB_ACCESS",
      /refuses the token of HF_TOKEN/,
      () => {
        hub.writes.accounts.clear();
        return target();
      },
    ],
    [
      "a token that reads",
      "E_HUB_ACCESS",
      /token of HF_TOKEN may not write/,
      () => {
        account("read", []);
        return target();
      },
    ],
    [
      "a fine-grained token that reads",
      "E_HUB_ACCESS",
      /may not write/,
      () => {
        account("fineGrained", ["repo.content.read"]);
        return target();
      },
    ],
    [
      "one of another owner",
      "E_HUB_ACCESS",
      /may not write/,
      () => {
        account("fineGrained", ["repo.write"], "other");
        return target();
      },
    ],
    [
      "another's name",
      "E_HUB_ACCESS",
      /other\/lora cannot be written to: .* no member of other/,
      () => target("other/lora"),
    ],
    ["a name that is none", "E_USAGE", /is no name of a repository/, () => target("some one/lora")],
    ["too many parts", "E_USAGE", /is no name of a repository/, () => target("a/b/c")],
    ["no network", "E_HUB_OFFLINE", /HF_HUB_OFFLINE forbids it/, () => target(NAME, undefined, { offline: true })],
    [
      "a public repository in the place of a private one",
      "E_USAGE",
      /is there and public, but hub_private_repo/,
      () => {
        hub.repositories.set(NAME, { commit: COMMIT, files: {} });
        return target(NAME, true);
      },
    ],
  ])("%s", async (_, code, message, call) => {
    const error = await refusal(call);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(hub.writes.requests.filter(({ method }) => method !== "GET")).toEqual([]);
  });

  test("names without an owner are the user's, fine-grained tokens and members may write", async () => {
    expect((await target("lora")).name).toBe(NAME);
    expect((await target("an-org/lora")).name).toBe("an-org/lora");
    account("fineGrained", ["repo.write"]);
    expect((await target()).name).toBe(NAME);
  });
});

const once = (matches: (path: string, method: string) => boolean, status: number, headers = {}): Fault => {
  let isDone = false;
  return ({ path, method }, response) => {
    if (isDone || !matches(path, method)) return false;
    isDone = true;
    response.writeHead(status, { "content-length": "0", ...headers }).end();
    return true;
  };
};

test.each([
  ["who asks", (path: string) => path === "/api/whoami-v2"],
  ["the new repository", (path: string) => path === "/api/repos/create"],
  ["the kinds of upload", (path: string) => path.includes("/preupload/")],
  ["the addresses of large files", (path: string) => path.endsWith("/objects/batch")],
  ["a large file", (_: string, method: string) => method === "PUT"],
  ["the commit", (path: string) => path.includes("/commit/")],
])("a failure that passes is tried again: %s", async (_, matches) => {
  hub.fault = once(matches, 503);
  await pushed();
  hub.repositories.clear();
  hub.writes.uploaded.clear();
  hub.fault = once(matches, 429, { "retry-after": "7" });
  await pushed();
  expect(waits).toEqual([500, 7000]);
  expect(Object.keys(hub.repositories.get(NAME)!.files)).toContain("adapter_model.safetensors");
});

test("a failure that stays is one error without addresses and tokens", async () => {
  hub.fault = ({ method }, response) => {
    if (method !== "PUT") return false;
    const error = `Denied: https://store/x?Signature=do-not-show-this with ${TOKEN}`;
    response.writeHead(403, { "content-type": "application/json" }).end(JSON.stringify({ error }));
    return true;
  };
  const error = await refusal(() => pushed());
  expect(error).toMatchObject({ code: "E_HUB_ACCESS", message: expect.stringContaining("The hub says: Denied") });
  hub.fault = ({ path }, response) => {
    if (path.includes("/commit/")) response.destroy();
    return path.includes("/commit/");
  };
  expect(await refusal(() => pushed())).toMatchObject({ code: "E_HUB_NETWORK" });
  expect(waits).toEqual([500, 1000, 2000, 4000]);
});

describe("commands", () => {
  const env = (more = {}) => ({
    HF_ENDPOINT: hub.endpoint,
    HF_HUB_CACHE: cache,
    HF_TOKEN: TOKEN,
    HF_HUB_OFFLINE: "",
    ...more,
  });
  const cache = folder();
  const output = join(folder(), "out");
  const texts = someTexts(join(folder(), "train.jsonl"), 12);
  const training = (more: string[]) => [
    ...["train", "--base_model", BASE, "--train_file", texts, "--output_dir", output, "--lora_r", "2"],
    ...["--max_seq_length", "16", "--per_device_train_batch_size", "1", "--threads", "2", "--max_steps", "2"],
    ...["--eval_strategy", "no", "--num_samples", "0", "--no-merge", "--push_to_hub", "--hub_model_id", NAME, ...more],
  ];
  async function run(args: string[], more = {}, options: RunOptions = {}): Promise<Finished> {
    const names = readdirSync(tinyBase);
    const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(tinyBase, name))]));
    hub.repositories.set(BASE, { commit: COMMIT, files });
    const finished = await lowrank(args, { ...options, env: env(more) });
    printed += finished.stdout + finished.stderr;
    return finished;
  }

  test("a run that cannot push is refused before its first download", async () => {
    hub.writes.accounts.set(TOKEN, { name: "someone", role: "read" });
    const { code, stderr } = await run(training([]));
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/error E_HUB_ACCESS: The token of HF_TOKEN may not write to/),
    ]);
    expect([existsSync(output), hub.fetched()]).toEqual([false, []]);
    const dry = await run(training(["--dry_run", "--hub_token", "hf_another"]), { HF_TOKEN: "" });
    expect([dry.code, dry.stderr]).toEqual([1, expect.stringContaining("refuses the token of --hub_token")]);
    const alone = await run(training([]).filter((word) => word !== "--push_to_hub"));
    expect([alone.code, alone.stderr]).toEqual([1, expect.stringContaining("hub_model_id needs push_to_hub")]);
  });

  test("a push that fails loses no run, and is made later by the command that the error names", async () => {
    hub.fault = once((path) => path.includes("/commit/"), 403);
    const { code, stderr, stdout } = await run(training(["--hub_private_repo"]));
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(`To push it: lowrank push ${output} ${NAME} --hub_private_repo`),
    ]);
    expect(stdout + stderr).toContain(`the adapter will be pushed to ${hub.endpoint}/${NAME}`);
    expect(existsSync(join(output, "adapter_model.safetensors"))).toBe(true);
    const later = await run(["push", output, NAME, "--hub_private_repo", "--json"]);
    expect([later.code, JSON.parse(later.stdout)]).toEqual([
      0,
      expect.objectContaining({ url: `${hub.endpoint}/${NAME}` }),
    ]);
    expect(hub.repositories.get(NAME)).toMatchObject({ private: true });
    expect(JSON.parse(stored("adapter_config.json")).base_model_name_or_path).toBe(BASE);
    expect(stored("README.md")).toMatch(/^## Training/m);
    for (const name of readdirSync(output, { recursive: true }) as string[])
      if (/\.(json|jsonl|log|md)$/.test(name)) expect(readFileSync(join(output, name), "utf8")).not.toContain(TOKEN);
  });

  test("a push and a merge that fail are both told, after the run's end", async () => {
    hub.fault = once((path) => path.includes("/commit/"), 403);
    const args = training(["--overwrite_output_dir", "--json"]).map((word) =>
      word === "--no-merge" ? "--merge" : word,
    );
    const onOutput: RunOptions["onOutput"] = (_, shown) => {
      if (!shown.includes("texts to train on")) return;
      mkdirSync(`${output}_merged`, { recursive: true });
      writeFileSync(join(`${output}_merged`, "notes.txt"), "mine");
    };
    const { code, stdout, stderr } = await run(args, {}, { onOutput });
    expect([code, JSON.parse(stdout.trim().split("\n").at(-1)!).type]).toEqual([1, "end"]);
    expect(stderr).toContain(`To push it: lowrank push ${output} ${NAME}`);
    expect(stderr).toContain(`To merge it: lowrank merge --base_model ${BASE} --adapter ${output}`);
  });

  test("a second token on the command line is shown by no message", async () => {
    const { code, stderr } = await run(["push", output, NAME, "--hub_token", TOKEN, "--hub_token", TOKEN]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("--hub_token: given 2 times, expected once")]);
  });

  test("nothing that was printed holds the token or a signature", () => {
    expect(printed).toContain("pushed");
    expect(printed).not.toMatch(new RegExp(`${TOKEN}|hf_another|do-not-show-this`));
  });
});

test("the library pushes a folder", async () => {
  for (const [name, value] of Object.entries({
    HF_ENDPOINT: hub.endpoint,
    HF_TOKEN: "",
    HF_HOME: folder(),
    HF_HUB_OFFLINE: "",
  }))
    vi.stubEnv(name, value);
  try {
    const seen: number[] = [];
    const on_upload = ({ done, total }: { done: number; total: number }) => void seen.push(done / total);
    const found = await pushToHub(adapter, NAME, {
      hub_token: TOKEN,
      hub_private_repo: true,
      base_model: BASE,
      on_upload,
    });
    expect(found.url).toBe(`${hub.endpoint}/${NAME}`);
    expect([hub.repositories.get(NAME)!.private, seen.at(-1)]).toEqual([true, 1]);
    expect((await refusal(() => pushToHub(adapter, "a/b/c"))).code).toBe("E_USAGE");
    const wrong = { hub_token: TOKEN, base_model: "./x" };
    expect((await refusal(() => pushToHub(adapter, NAME, wrong))).message).toContain("base_model is ./x, expected");
  } finally {
    vi.unstubAllEnvs();
  }
});

const { python, reason } = peerPython("huggingface_hub");
if (reason) console.log(`skipped: the same commit by Python's huggingface_hub (${reason})`);

function inPython(script: string): Promise<string> {
  const env = {
    ...process.env,
    HF_ENDPOINT: hub.endpoint,
    HF_TOKEN: TOKEN,
    HF_HUB_DISABLE_XET: "1",
    HF_HUB_OFFLINE: "0",
  };
  return printedByPython(python, script, env);
}

/** Lines of a commit without the texts and hashes of their files. */
const committed = () => {
  const { body } = hub.writes.requests.find(({ path }) => path.includes("/commit/"))!;
  const lines = String(body).trim().split("\n").slice(1);
  return lines.map((line) => JSON.parse(line)).sort((a, b) => (a.value.path < b.value.path ? -1 : 1));
};

test.skipIf(reason !== undefined)(
  "Python's client sends this server the same repository and commit, and reads the card",
  async () => {
    const ours = folder();
    await pushed(adapter, { base_model: BASE });
    for (const [path, content] of Object.entries(hub.repositories.get(NAME)!.files))
      writeFileSync(join(ours, path), content);
    const [ourPaths, ourCommit] = [paths(), committed()];
    hub.repositories.clear();
    hub.writes.uploaded.clear();
    hub.writes.requests.length = 0;
    const script = `import huggingface_hub as h
api = h.HfApi()
api.create_repo("${NAME}", exist_ok=True)
api.upload_folder(repo_id="${NAME}", folder_path="${ours}", commit_message="A title")
data = h.ModelCard.load("${ours}/README.md").data
print(data.base_model, data.library_name, data.pipeline_tag, ",".join(data.tags))`;
    expect(await inPython(script)).toBe(`${BASE} peft text-generation lora,lowrank`);
    expect(committed()).toEqual(ourCommit);
    // Python also asks for checks of the card and of large files; only we ask who asks.
    const plain = (list: string[]) => list.filter((path) => !/whoami|verify|validate/.test(path)).sort();
    expect(plain(paths())).toEqual(plain(ourPaths));
  },
);

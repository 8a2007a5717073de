// Python's huggingface_hub reads this cache offline, and this program reads Python's. Runs where LOWRANK_PEER_PYTHON names a Python
// that has huggingface_hub.
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it, vi } from "vitest";
import { hubSettings, modelFiles, snapshotFolder } from "../../src/hub/index.js";
import { Model, Trainer } from "../../src/index.js";
import { temporaryFolders, tinyBase } from "../support/folders.js";
import { HubServer } from "../support/hub-server.js";
import { peerPython, printedByPython } from "../support/python.js";

const { python, reason } = peerPython("huggingface_hub");
if (reason) console.log(`skipped: a cache beside Python's huggingface_hub (${reason})`);
const noPeft = peerPython("huggingface_hub torch peft").reason;
if (noPeft && !reason) console.log(`skipped: an adapter's base in the cache, found by peft (${noPeft})`);

const NAME = "someone/tiny-llama";
const repository = { type: "model", name: NAME, revision: "main" } as const;
const commit = "0123456789abcdef0123456789abcdef01234567";
const files = {
  "config.json": "{}",
  "tokenizer.json": '{"version": "1.0"}',
  "model.safetensors": randomBytes(100_000),
};
const folder = temporaryFolders();
const hub = HubServer.forTests();

beforeEach(() => {
  hub.repositories.set(NAME, { commit, files });
});

function inPython(script: string, env: Record<string, string>): Promise<string> {
  return printedByPython(python, script, { ...process.env, HF_ENDPOINT: hub.endpoint, ...env });
}

it.skipIf(reason !== undefined)("Python finds offline what is downloaded here", async () => {
  const cache = folder();
  const settings = hubSettings({ HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HOME: folder() });
  const snapshot = await snapshotFolder(repository, modelFiles, { settings });
  const script = `import huggingface_hub as h
print(h.hf_hub_download("${NAME}", "model.safetensors"))
print(h.snapshot_download("${NAME}"))
info, = h.scan_cache_dir().repos
print(info.repo_id, info.nb_files, info.refs["main"].commit_hash, len(h.scan_cache_dir().warnings))`;
  hub.seen.length = 0;
  expect((await inPython(script, { HF_HUB_CACHE: cache, HF_HUB_OFFLINE: "1" })).split("\n")).toEqual([
    join(snapshot, "model.safetensors"),
    snapshot,
    `${NAME} 3 ${commit} 0`,
  ]);
  expect(hub.seen).toEqual([]);
});

it.skipIf(reason !== undefined)("what Python downloaded is found offline here", async () => {
  const cache = folder();
  const env = { HF_HUB_CACHE: cache, HF_HUB_DISABLE_XET: "1", HF_HUB_OFFLINE: "" };
  const script = `import huggingface_hub as h
print(h.snapshot_download("${NAME}"))`;
  const theirs = await inPython(script, env);
  hub.seen.length = 0;
  const settings = hubSettings({ HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HUB_OFFLINE: "1" });
  expect(await snapshotFolder(repository, modelFiles, { settings })).toBe(theirs);
  expect(hub.seen).toEqual([]);
  expect(readdirSync(theirs).sort()).toEqual(Object.keys(files).sort());
  expect(files["model.safetensors"].equals(readFileSync(join(theirs, "model.safetensors")))).toBe(true);
  // Asked again online, nothing of it is fetched.
  expect(await snapshotFolder(repository, modelFiles, { settings: { ...settings, offline: false } })).toBe(theirs);
  expect(hub.fetched()).toEqual([]);
});

it.skipIf(noPeft !== undefined)(
  "PEFT finds the base that an adapter names, at its revision, in the cache",
  async () => {
    const cache = folder();
    const adapter = folder();
    const names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
    const base = Object.fromEntries(names.map((name) => [name, readFileSync(join(tinyBase, name))]));
    hub.repositories.set("someone/base", { commit, files: base });
    for (const [name, value] of Object.entries({ HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HUB_OFFLINE: "" }))
      vi.stubEnv(name, value);
    try {
      await using model = await Model.open("someone/base", { revision: commit, threads: 1 });
      await using trainer = await Trainer.create(model, { train: ["one", "two"], lora_r: 2, max_seq_length: 8 });
      await trainer.save(adapter);
    } finally {
      vi.unstubAllEnvs();
    }
    const script = `from peft import AutoPeftModelForCausalLM
model = AutoPeftModelForCausalLM.from_pretrained("${adapter}")
config = model.peft_config["default"]
print(config.base_model_name_or_path, config.revision, config.r)`;
    expect(await inPython(script, { HF_HUB_CACHE: cache, HF_HUB_OFFLINE: "1" })).toBe(`someone/base ${commit} 2`);
  },
);

#!/usr/bin/env bash
# Two clients of one hub share a cache folder, but not its meaning. Python's hf_hub_download puts all files of a revision into one snapshot, named by the
# revision's commit, and notes that commit in refs/main. @huggingface/hub's downloadFileToCacheDir names the snapshot by the commit that changed the file last,
# and notes nothing. The configuration and the weights of one adapter then lie in two folders, so that no folder can be given to a program that loads an
# adapter, and Python without a network (local_files_only) finds neither file, though both are in its cache. With a commit's hash as the revision, JavaScript
# puts both into one snapshot. The hub here is a small local server that answers these requests in the hub's form. lowrank downloads into one snapshot, and
# writes its refs.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/hub@2.17.5 >/dev/null
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet huggingface_hub==2.4.0
cat >check.mjs <<'JS'
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { relative } from "node:path";
import { promisify } from "node:util";
import { downloadFileToCacheDir } from "@huggingface/hub";

const version = JSON.parse(readFileSync("node_modules/@huggingface/hub/package.json", "utf8")).version;
console.log("@huggingface/hub", version);
console.debug = () => {};
const repo = "someone/adapter";
const head = "c".repeat(40);
const files = {
  "adapter_config.json": { body: "{}", changed: "a".repeat(40) },
  "adapter_model.safetensors": { body: "weights", changed: head },
};
const oid = ({ body }) => createHash("sha1").update(`blob ${body.length}\0${body}`).digest("hex");

const server = createServer((request, response) => {
  let text = "";
  request.on("data", (part) => (text += part));
  request.on("end", () => {
    if (request.url.includes("/paths-info/")) {
      const found = JSON.parse(text).paths.map((path) => ({
        ...{ type: "file", path, oid: oid(files[path]), size: files[path].body.length },
        lastCommit: { id: files[path].changed, title: "change", date: "2026-01-01T00:00:00.000Z" },
      }));
      response.setHeader("content-type", "application/json");
      return response.end(JSON.stringify(found));
    }
    const { body, ...file } = files[request.url.split("/").at(-1)];
    response.setHeader("etag", `"${oid({ body, ...file })}"`);
    response.setHeader("x-repo-commit", head);
    const range = /^bytes=(\d+)-(\d+)?$/.exec(request.headers.range ?? "");
    const part = range ? body.slice(Number(range[1]), range[2] === undefined ? undefined : Number(range[2]) + 1) : body;
    response.setHeader("content-length", part.length);
    if (range) response.writeHead(206, { "content-range": `bytes ${range[1]}-${Number(range[1]) + part.length - 1}/${body.length}` });
    response.end(request.method === "HEAD" ? undefined : part);
  });
}).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const hubUrl = `http://127.0.0.1:${server.address().port}`;

async function javascript(cacheDir, revision) {
  const paths = [];
  for (const path of Object.keys(files)) paths.push(await downloadFileToCacheDir({ repo, path, revision, hubUrl, cacheDir }));
  return paths.map((path) => relative(`${cacheDir}/models--someone--adapter/snapshots`, path));
}

/** Where Python finds the files, with and without the hub. */
async function python(cacheDir, offline) {
  const script = `
import json, os, sys
from huggingface_hub import hf_hub_download
found = []
for name in ${JSON.stringify(Object.keys(files))}:
    try:
        path = hf_hub_download("${repo}", name, cache_dir="${cacheDir}", local_files_only=${offline ? "True" : "False"})
        found.append(os.path.relpath(path, "${cacheDir}/models--someone--adapter/snapshots"))
    except Exception as error:
        found.append(type(error).__name__)
print(json.dumps(found))
`;
  const env = { ...process.env, HF_ENDPOINT: hubUrl, HF_HUB_DISABLE_TELEMETRY: "1", HF_HUB_DISABLE_PROGRESS_BARS: "1", HF_HOME: `${cacheDir}-home` };
  const { stdout } = await promisify(execFile)("./venv/bin/python", ["-c", script], { env });
  return JSON.parse(stdout);
}

const refs = (cacheDir) => existsSync(`${cacheDir}/models--someone--adapter/refs/main`);
const folders = (paths) => new Set(paths.map((path) => path.split("/")[0])).size;
const short = (paths) => paths.map((path) => path.replace(/([0-9a-f])\1{39}/, "$1$1$1$1...")).join(", ");
const written = await python("python", false);
console.log("Python:", short(written), "| refs/main:", refs("python"), "| offline:", short(await python("python", true)));
const main = await javascript("javascript");
const missed = await python("javascript", true);
console.log("JavaScript:", short(main), "| refs/main:", refs("javascript"), "| Python offline:", short(missed));
const commit = await javascript("commit", head);
console.log("JavaScript, revision a commit:", short(commit));
server.close();
const apart = folders(written) === 1 && refs("python") && folders(main) === 2 && !refs("javascript");
const unseen = missed.every((each) => each === "LocalEntryNotFoundError");
process.exit(apart && unseen && folders(commit) === 1 ? 0 : 1);
JS
node check.mjs

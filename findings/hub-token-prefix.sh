#!/usr/bin/env bash
# Two clients of one hub disagree about tokens. Python's huggingface_hub sends any token that it is given. @huggingface/hub (JavaScript) throws before it
# sends anything where the token does not begin with "hf_". A server of the same protocol whose tokens look otherwise (HF_ENDPOINT: a mirror, a registry of a
# company, a test) works with Python and not with JavaScript. A program that must reach both gives the JavaScript client a fetch that adds the header.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/hub@2.17.5 >/dev/null
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet huggingface_hub==2.4.0
cat >check.mjs <<'JS'
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { promisify } from "node:util";
import { whoAmI } from "@huggingface/hub";

const seen = [];
const server = createServer((request, response) => {
  seen.push(request.headers.authorization);
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ type: "user", id: "1", name: "someone", fullname: "Someone", orgs: [], auth: {} }));
}).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const url = `http://127.0.0.1:${server.address().port}`;
let refused = "";
await whoAmI({ accessToken: "company-token", hubUrl: url }).catch((error) => (refused = String(error)));
const asked = seen.length;
console.log(`JavaScript: ${refused || "accepted"}; ${asked} requests`);
const script = `from huggingface_hub import HfApi; print(HfApi(endpoint="${url}", token="company-token").whoami()["name"])`;
const { stdout } = await promisify(execFile)("./venv/bin/python", ["-c", script]);
console.log(`Python: ${stdout.trim()}; sent ${seen.at(-1)}`);
server.close();
process.exit(refused.includes("hf_") && asked === 0 && seen.at(-1) === "Bearer company-token" ? 0 : 1);
JS
node check.mjs

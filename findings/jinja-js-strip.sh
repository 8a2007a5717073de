#!/usr/bin/env bash
# @huggingface/jinja, which renders chat templates for JavaScript (transformers.js and others), takes strip('\n'), lstrip('\n') and rstrip('\n') for strip(),
# lstrip() and rstrip(): the argument is dropped without an error, and all white space at that end is removed, not line breaks alone. Qwen3's template strips
# answers so. An answer that begins with indented code, such as a method of a class, keeps its first indent in Python and loses it in JavaScript: the model is
# trained on one text and served another, here one that is no valid Python any more. lowrank renders such templates as Python does.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet jinja2==3.1.6
"$work/venv/bin/pip" install --quiet --no-deps trl==1.16.0 # for its copies of the models' templates
cd "$work"
npm init --yes >/dev/null
npm install --silent @huggingface/jinja@0.5.11
"$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import importlib.util
import json
import pathlib

from jinja2.sandbox import ImmutableSandboxedEnvironment

print("jinja2", importlib.metadata.version("jinja2"), "trl", importlib.metadata.version("trl"))
[folder] = importlib.util.find_spec("trl").submodule_search_locations
template = pathlib.Path(folder, "chat_templates", "qwen3.jinja").read_text()
code = "    def area(self):\n        return self.width * self.height"
messages = [{"role": "user", "content": "Write the next method."}, {"role": "assistant", "content": code}]
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
cases = {
    "qwen3": (template, {"messages": messages}),
    "lstrip": ("[{{ text.lstrip('\\n') }}]", {"text": "\n\n  two spaces"}),
    "rstrip": ("[{{ text.rstrip('\\n') }}]", {"text": "two spaces  \n"}),
    "strip": ("[{{ text.strip('x') }}]", {"text": "xxtextxx"}),
}
rendered = [(name, source, values, environment.from_string(source).render(values)) for name, (source, values) in cases.items()]
pathlib.Path("cases.json").write_text(json.dumps(rendered))
PYTHON
cat >render.mjs <<'JAVASCRIPT'
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";

console.log("@huggingface/jinja", JSON.parse(readFileSync("node_modules/@huggingface/jinja/package.json", "utf8")).version);
const seen = {};
for (const [name, source, values, python] of JSON.parse(readFileSync("cases.json", "utf8"))) {
  const javascript = new Template(source).render(values);
  seen[name] = { python, javascript };
  console.log(`${name}\n  Python     ${JSON.stringify(python)}\n  JavaScript ${JSON.stringify(javascript)}`);
}
const { qwen3, lstrip, rstrip, strip } = seen;
const still =
  qwen3.python.includes("\n    def area") &&
  qwen3.javascript === qwen3.python.replace("\n    def area", "\ndef area") &&
  lstrip.python === "[  two spaces]" &&
  lstrip.javascript === "[two spaces]" &&
  rstrip.python === "[two spaces  ]" &&
  rstrip.javascript === "[two spaces]" &&
  strip.python === "[text]" &&
  strip.javascript === "[xxtextxx]";
process.exit(still ? 0 : 1);
JAVASCRIPT
node render.mjs

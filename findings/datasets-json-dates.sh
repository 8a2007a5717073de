#!/usr/bin/env bash
# datasets.load_dataset("json"): the type of a text is inferred for each chunk of a file. A chunk in which every text is an ISO 8601 date becomes timestamps, and:
# - it alone: the texts are datetime objects, also the `content` of chat messages; an offset such as +02:00 is gone, the time is another one;
# - after a chunk of usual texts: "2024-01-01" is read as "2024-01-01 00:00:00", without a warning;
# - before it: the usual texts are an error. So the order of the files decides between an error and altered texts.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet datasets==5.2.0 pyarrow==26.0.1
export HF_HOME="$work/home" HF_HUB_OFFLINE=1
"$work/venv/bin/python" - "$work" <<'PYTHON'
import json
import sys

import datasets
import pyarrow

datasets.disable_progress_bars()
folder = sys.argv[1]
print("datasets", datasets.__version__, "pyarrow", pyarrow.__version__)


def write(name, rows):
    path = f"{folder}/{name}.jsonl"
    with open(path, "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def load(label, files):
    try:
        found = datasets.load_dataset("json", data_files=files, split="train").to_list()
    except Exception as error:
        found = f"{type(error).__name__}: {error.__cause__}"
    print(f"{label}: {found}")
    return found


dates = write("dates", [{"text": "2024-01-01"}, {"text": "2024-02-01"}])
words = write("words", [{"text": "hello"}])
offsets = write("offsets", [{"text": "2024-02-01T11:00:00+02:00"}])
chat = write("chat", [{"messages": [{"role": "user", "content": "2024-01-01"}]}])
alone = load("dates alone", dates)
offset = load("with an offset", offsets)
message = load("a chat message", chat)
after = load("words, then dates", [words, dates])
before = load("dates, then words", [dates, words])
still = (
    alone[0]["text"].isoformat() == "2024-01-01T00:00:00"
    and offset[0]["text"].isoformat() == "2024-02-01T09:00:00"
    and not isinstance(message[0]["messages"][0]["content"], str)
    and [row["text"] for row in after] == ["hello", "2024-01-01 00:00:00", "2024-02-01 00:00:00"]
    and "timestamp" in before
)
sys.exit(0 if still else 1)
PYTHON

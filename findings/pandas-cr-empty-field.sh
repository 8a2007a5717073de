#!/usr/bin/env bash
# pandas.read_csv (C engine), and so datasets' CSV loader: in a file whose lines end in a carriage return alone, an empty first field
# behind a blank line is dropped and the row's other fields move one column to the left, without an error. The same rows with \n or \r\n are read right.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pandas==3.0.0 2>/dev/null || "$work/venv/bin/pip" install --quiet pandas==2.3.3
"$work/venv/bin/python" - <<'PYTHON'
import io
import sys

import pandas

print("pandas", pandas.__version__)
seen = {}
for end in ("\n", "\r\n", "\r"):
    content = end.join(["id,text,label", "1,first,a", "", ",second,b", ""])
    table = pandas.read_csv(io.BytesIO(content.encode()), dtype=str, keep_default_na=False)
    seen[end] = table.values.tolist()
    print(repr(content), "->", seen[end])
right = [["1", "first", "a"], ["", "second", "b"]]
shifted = [["1", "first", "a"], ["second", "b", ""]]
sys.exit(0 if seen["\n"] == seen["\r\n"] == right and seen["\r"] == shifted else 1)
PYTHON

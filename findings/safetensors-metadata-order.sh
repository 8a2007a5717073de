#!/usr/bin/env bash
# safetensors for Python: the same tensors with the same metadata are saved as different bytes from call to call, as the keys of __metadata__ are
# written in a random order. Files of equal content then differ in their hashes (and in the hub's and Git LFS's), wherever there is more than one key.
# The tensors' own order is fixed, and with one key, such as transformers' "format", all files are the same. `load` returns the tensors of one file in a
# random order, too: a loop over its result, or a file hashed that way, is another one each time.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet safetensors==0.8.0 numpy
"$work/venv/bin/python" - <<'PYTHON'
import hashlib
import json
import sys

import numpy
import safetensors
from safetensors.numpy import load, save

print("safetensors", safetensors.__version__)
tensors = {name: numpy.arange(4, dtype=numpy.float32) for name in ("b", "a", "c")}


def header(file):
    return json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])


def digests(keys):
    files = [save(tensors, metadata={key: "value" for key in keys}) for _ in range(32)]
    orders = {tuple(key for key in header(file) if key != "__metadata__") for file in files}
    assert len(orders) == 1, orders
    return {hashlib.sha256(file).hexdigest() for file in files}


one, several = digests(["format"]), digests(["format", "rank", "alpha", "base", "step", "loss"])
print("32 files with one key:", len(one), "different; with six keys:", len(several), "different")
file = save(tensors)
loaded = {tuple(load(file)) for _ in range(32)}
print("one file loaded 32 times:", len(loaded), "orders of", [*header(file)])
sys.exit(0 if len(one) == 1 and len(several) > 1 and len(loaded) > 1 else 1)
PYTHON

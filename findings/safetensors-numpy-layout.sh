#!/usr/bin/env bash
# safetensors.numpy saves an array that is not contiguous as other numbers. A transposed matrix, one in Fortran's order or some columns of one keep their shape
# in the file, but the values are those that lie in memory from the array's first element on, without an error or a warning: the documentation asks for
# contiguous arrays, and nothing checks it. safetensors.torch refuses such a tensor; numpy's own save and tobytes write the right values. So an adapter that is
# made by numpy, such as u[:, :r] of a singular value decomposition or the transposed factor of another format, is a valid file with a meaningless update.
# numpy.ascontiguousarray before saving mends it.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W error - <<'PYTHON'
import sys

import numpy
import safetensors
from safetensors.numpy import load_file, save_file

print("safetensors", safetensors.__version__, "numpy", numpy.__version__)


def saved(array):
    save_file({"array": array}, "array.safetensors")
    return load_file("array.safetensors")["array"]


matrix = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
arrays = {"dense": matrix, "transposed": matrix.T, "Fortran's order": numpy.asfortranarray(matrix), "two columns": matrix[:, :2]}
right = []
for name, array in arrays.items():
    read, dense = saved(array), saved(numpy.ascontiguousarray(array))
    right.append(numpy.array_equal(read, array))
    assert read.shape == array.shape and numpy.array_equal(dense, array)
    print(f"{name}: {array.tolist()} is read as {read.tolist()}")

difference = numpy.random.default_rng(0).standard_normal((24, 16), dtype=numpy.float32)
u, s, vt = numpy.linalg.svd(difference, full_matrices=False)
b, a = u[:, :4], s[:4, None] * vt[:4]
off = float(numpy.linalg.norm(saved(b) @ saved(a) - b @ a) / numpy.linalg.norm(b @ a))
print(f"an adapter of rank 4 by SVD, saved and read: off by {off:.2f} of the update")
sys.exit(0 if right == [True, False, False, False] and off > 0.5 else 1)
PYTHON

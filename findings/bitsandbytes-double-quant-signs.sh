#!/usr/bin/env bash
# bitsandbytes' double quantisation (bnb_4bit_use_double_quant) can turn the signs of weights. The blocks' scales are stored less their mean, in codes of 8 bits
# that share one scale for 256 blocks. The error is therefore a share of the largest distance from the mean, not of the block's own scale: blocks of small
# weights, beside one block with an outlier, get a scale that is too large by a multiple, or below zero, and then every weight of the block has the wrong sign.
# Without double quantisation such rows are as exact as all others. The 4-bit codes are the same in both cases, so nothing in them shows it. lowrank quantize
# writes the same codes and scales as bitsandbytes, with the same loss; --no-double_quant keeps such rows.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.15.0 numpy bitsandbytes==0.50.2
"$work/venv/bin/python" - <<'PYTHON'
import sys

import bitsandbytes
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit

torch.manual_seed(0)
print("bitsandbytes", bitsandbytes.__version__)
weight = torch.randn(64, 256) * 0.02
weight[8:16] *= 0.01  # rows of a channel that is hardly used
weight[0, 0] = 0.5  # one outlier elsewhere
seen = {}
for double in (False, True):
    codes, state = quantize_4bit(weight, blocksize=64, quant_type="nf4", compress_statistics=double)
    found = dequantize_4bit(codes, state)
    small, wanted = found[8:16], weight[8:16]
    turned = int((small * wanted < 0).sum())
    off, others = ((a - b).norm() / b.norm() for a, b in ((small, wanted), (found[16:], weight[16:])))
    seen[double] = codes, turned, float(off)
    name = "double quantisation" if double else "plain scales"
    print(f"{name}: {turned} of {wanted.numel()} weights of the small rows turned; off by {off:.3f}, the other rows by {others:.3f}")
same = torch.equal(seen[False][0], seen[True][0])
print("the 4-bit codes are equal:", same)
plain, double = seen[False], seen[True]
sys.exit(0 if same and plain[1] == 0 and plain[2] < 0.15 and double[1] > 1024 and double[2] > 1 else 1)
PYTHON

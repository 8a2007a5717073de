#!/usr/bin/env bash
# bitsandbytes' "fp4", which transformers takes for load_in_4bit where no type is named, is not the FP4 of the OCP formats and of GPUs (E2M1: a sign, two bits
# of exponent, one of mantissa). Seven of the eight magnitudes agree, up to the scale, but the smallest above zero is 1/192 of the largest and not 1/12, so that
# nothing lies between 1/192 and 1/6 of a block's maximum. The codes stand in another order, too: code 1 is the smallest in both, but code 2 is 2/3 here and 1/6
# there. Codes that are read or multiplied as E2M1 give other weights. lowrank reads and writes bitsandbytes' values.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 bitsandbytes==0.50.2 ml_dtypes==0.5.4
"$work/venv/bin/python" - <<'PYTHON'
import sys

import bitsandbytes
import ml_dtypes
import numpy
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from transformers import BitsAndBytesConfig

print("bitsandbytes", bitsandbytes.__version__)
default = BitsAndBytesConfig(load_in_4bit=True).bnb_4bit_quant_type
_, state = quantize_4bit(torch.ones(64), blocksize=64, quant_type="fp4")
packed = torch.arange(8, dtype=torch.uint8).repeat_interleave(4)[:, None] * 0x11
found = dequantize_4bit(packed, state).flatten()[::8].tolist()
e2m1 = numpy.arange(8, dtype=numpy.uint8).view(ml_dtypes.float4_e2m1fn).astype(numpy.float32)
wanted = (e2m1 / e2m1.max()).tolist()
print("type where none is named:", default)
print("code:        ", *range(8), sep="\t")
for name, values in (("bitsandbytes:", found), ("E2M1:        ", wanted)):
    print(name, *(f"{value:.4f}" for value in values), sep="\t")
rest = numpy.allclose(sorted(found)[2:], sorted(wanted)[2:], atol=1e-4)
smallest = abs(sorted(found)[1] - 1 / 192) < 1e-6 and abs(sorted(wanted)[1] - 1 / 12) < 1e-6
sys.exit(0 if default == "fp4" and rest and smallest and abs(found[2] - 2 / 3) < 1e-4 else 1)
PYTHON

#!/usr/bin/env python3
"""Makes test/goldens/quantized/blocks.safetensors: random blocks of GGUF's types, with the numbers that the gguf package decodes from them.

  python scripts/goldens/gguf_blocks.py

For each type `TYPE.bytes`, 8 rows of 512 elements as a file holds them, and `TYPE.values`, the same in f32. Scales are
random f16 numbers; every other bit is random.
"""
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize
from safetensors.numpy import save_file

ROWS, COLUMNS = 8, 512
# Bytes of a block that hold f16 scales.
SCALES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}

rng = np.random.default_rng(3)
out = {}
for kind, places in SCALES.items():
    size, block_bytes = GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (ROWS * COLUMNS // size, block_bytes), dtype=np.uint8)
    for at in places:
        blocks[:, at : at + 2] = (rng.standard_normal(len(blocks)) * 0.01).astype(np.float16)[:, None].view(np.uint8)
    raw = blocks.reshape(ROWS, -1)
    out[f"{kind.name.lower()}.bytes"] = raw
    out[f"{kind.name.lower()}.values"] = dequantize(raw, kind).astype(np.float32)
save_file(out, "test/goldens/quantized/blocks.safetensors")

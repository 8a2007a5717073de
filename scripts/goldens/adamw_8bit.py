#!/usr/bin/env python3
"""Makes test/goldens/adamw-8bit: bitsandbytes' 8-bit AdamW in its pure PyTorch form, and its two dynamic maps.

  TORCHDYNAMO_DISABLE=1 python scripts/goldens/adamw_8bit.py [--output_dir test/goldens/adamw-8bit]

`steps.safetensors`: `p.0`, then for each step t from 1 its gradient `g.t` and, after it, `p.t`, the moments' codes `m.t`, `v.t` and
their blocks' maxima `m_max.t`, `v_max.t`; `signed` and `unsigned`: the maps.
"""
import argparse
from pathlib import Path

import bitsandbytes.functional as F
import torch
from bitsandbytes.backends.triton.kernels_optim import optimizer_update_8bit_blockwise_pytorch as update
from safetensors.torch import save_file

STEPS, ELEMENTS = 6, 600
HYPER = dict(beta1=0.9, beta2=0.999, eps=1e-8, lr=3e-3, weight_decay=0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, default=Path("test/goldens/adamw-8bit"))
    folder = parser.parse_args().output_dir
    folder.mkdir(parents=True, exist_ok=True)
    g = torch.Generator().manual_seed(3)
    maps = {"signed": F.create_dynamic_map(signed=True), "unsigned": F.create_dynamic_map(signed=False)}
    p = torch.randn(ELEMENTS, generator=g) * 0.1
    blocks = (ELEMENTS + 255) // 256
    codes = [torch.zeros(ELEMENTS, dtype=torch.uint8) for _ in range(2)]
    maxima = [torch.zeros(blocks) for _ in range(2)]
    out = {**maps, "p.0": p.clone()}
    for t in range(1, STEPS + 1):
        # Sizes over many decades, and zeros: a whole block of them in the first step.
        grad = torch.randn(ELEMENTS, generator=g) * 10.0 ** torch.randint(-6, 1, (ELEMENTS,), generator=g)
        grad[torch.rand(ELEMENTS, generator=g) < 0.1] = 0
        if t == 1:
            grad[256:512] = 0
        update(p, grad, codes[0], codes[1], HYPER["beta1"], HYPER["beta2"], 0.0, 0.0, HYPER["eps"], t, HYPER["lr"], maps["signed"],
               maps["unsigned"], maxima[0], maxima[1], HYPER["weight_decay"], 1.0, False, optimizer_name="adam")
        values = {"g": grad, "p": p, "m": codes[0], "v": codes[1], "m_max": maxima[0], "v_max": maxima[1]}
        out.update({f"{name}.{t}": value.clone() for name, value in values.items()})
    save_file(out, folder / "steps.safetensors")


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# PEFT's add_weighted_adapter gives the new adapter the variant of the first one, and does not allow for it. With rsLoRA the new alpha is the new rank, as if
# the scale were alpha / rank = 1, but it is alpha / sqrt(rank): half of one adapter and half of another, by "cat" or "svd", is sqrt(rank) times their mean, 2.8
# times at rank 8 and 11 times at rank 128. With one rsLoRA adapter and one plain one, the order decides between the mean and a multiple of it. With DoRA the
# trained magnitudes are left out, and those of the base stand in their place. Nothing is said in any of these cases. lowrank combine gives the weighted sum for
# rsLoRA adapters, in any order, and refuses DoRA adapters.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 peft==0.21.2
"$work/venv/bin/python" - <<'PYTHON'
import math
import sys
import warnings

import peft
import torch
from peft import LoraConfig, get_peft_model

warnings.filterwarnings("ignore")
print("peft", peft.__version__)


def mean_of(kind, first, second):
    """How large the new adapter is along the mean of the two, and how far off it is."""
    torch.manual_seed(0)
    options = {"r": 4, "lora_alpha": 8, "target_modules": ["0"], "init_lora_weights": False}
    base = torch.nn.Sequential(torch.nn.Linear(16, 12, bias=False))
    model = get_peft_model(base, LoraConfig(**options, **first), adapter_name="a")
    model.add_adapter("b", LoraConfig(**options, **second))
    layer = model.base_model.model[0]
    for magnitudes in layer.lora_magnitude_vector.values():
        magnitudes.weight.data *= 1 + torch.rand_like(magnitudes.weight)

    def update(name):
        model.set_adapter(name)
        with torch.no_grad():
            return model(torch.eye(16)).T - layer.base_layer.weight

    more = {"svd_rank": 8} if kind == "svd" else {}
    model.add_weighted_adapter(["a", "b"], [0.5, 0.5], "new", combination_type=kind, **more)
    wanted, found = (update("a") + update("b")) / 2, update("new")
    times = float((found * wanted).sum() / (wanted * wanted).sum())
    off = float((found - wanted).norm() / wanted.norm())
    print(f"{kind} of {first or 'plain'} and {second or 'plain'}: {times:.4f} times the mean, off by {off:.4f}")
    return times, off


plain, rslora, dora = {}, {"use_rslora": True}, {"use_dora": True}
still = True
for kind in ("cat", "svd"):
    still &= mean_of(kind, plain, plain)[1] < 1e-5
    still &= abs(mean_of(kind, rslora, rslora)[0] - math.sqrt(8)) < 1e-4
    still &= mean_of(kind, plain, rslora)[1] < 1e-5
    still &= abs(mean_of(kind, rslora, plain)[0] - math.sqrt(8)) < 1e-4
    still &= mean_of(kind, dora, dora)[1] > 0.3
sys.exit(0 if still else 1)
PYTHON

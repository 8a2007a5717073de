#!/usr/bin/env bash
# PEFT's add_weighted_adapter with combination_type="linear" does not give the weighted sum of the updates. The factors are summed, each with the root of its
# weight, so that every B is multiplied with every A: half of an adapter and half of the same adapter are twice the adapter, and half of one with half
# of another hold two cross terms, about as large as the sum itself. "dare_linear" at density 1, where nothing is dropped, does the same.
# "cat" gives the sum, and so does "svd" with the sum of the ranks. A program that promises a weighted sum has to concatenate the factors.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 peft==0.21.2
"$work/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import peft
import torch
from peft import LoraConfig, get_peft_model

warnings.filterwarnings("ignore")
torch.manual_seed(0)
print("peft", peft.__version__)
base = torch.nn.Sequential(torch.nn.Linear(16, 12, bias=False))


def config():
    return LoraConfig(r=4, lora_alpha=8, target_modules=["0"], init_lora_weights=False)


model = get_peft_model(base, config(), adapter_name="a")
model.add_adapter("b", config())
update = model.base_model.model[0].get_delta_weight


def error(kind, parts, wanted):
    name = f"{kind}_of_{''.join(parts)}"
    more = {"dare_linear": {"density": 1.0}, "svd": {"svd_rank": 8}}.get(kind, {})
    model.add_weighted_adapter(parts, [0.5, 0.5], name, combination_type=kind, **more)
    found = float((update(name) - wanted).norm() / wanted.norm())
    print(f"{kind}, half of {parts[0]} and half of {parts[1]}: off by {found:.4f} of the wanted update")
    return found


a, both = update("a"), (update("a") + update("b")) / 2
twice = error("linear", ["a", "a"], 2 * a)
crossed = error("linear", ["a", "b"], both)
right = max(error(kind, ["a", "b"], both) for kind in ("cat", "svd"))
pruned = error("dare_linear", ["a", "b"], both)
sys.exit(0 if twice < 1e-5 and crossed > 0.3 and right < 1e-5 and pruned > 0.3 else 1)
PYTHON

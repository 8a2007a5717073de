#!/usr/bin/env bash
# PEFT takes any name in modules_to_save. A name that the model has not is neither an error nor a warning: the run trains the adapter alone, and the head that was
# to be trained stays as it was. target_modules with a name that the model has not is an error. So a typing error in the one list is found before the
# first step, and in the other one not at all.
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

warnings.simplefilter("ignore")
print("peft", peft.__version__)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(8, 8)
        self.score = torch.nn.Linear(8, 2)


def trained(**options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = get_peft_model(Model(), LoraConfig(r=2, **options))
    return sorted(n for n, w in model.named_parameters() if w.requires_grad), len(caught)


try:
    trained(target_modules=["bodi"])
    strict = False
except ValueError as error:
    strict = True
    print("target_modules of an unknown name:", type(error).__name__)
right, _ = trained(target_modules=["body"], modules_to_save=["score"])
wrong, warned = trained(target_modules=["body"], modules_to_save=["scores"])
print("modules_to_save score:", right)
print("modules_to_save scores:", wrong, "warnings:", warned)
sys.exit(0 if strict and len(right) == 4 and len(wrong) == 2 and warned == 0 else 1)
PYTHON

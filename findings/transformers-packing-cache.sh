#!/usr/bin/env bash
# transformers keeps the texts of a packed row apart by their position_ids, but only where it gets neither an attention_mask nor a cache. A mask of ones, which
# masks nothing, or use_cache=True, which is a model's default, switches this off without a word, in training mode as well as in evaluation: each token then
# attends to the texts before its own. So a loop of one's own that packs rows as a collator makes them (with a mask), or that calls the model with its defaults,
# trains or measures across texts, while the same row under use_cache=False and no mask gives the logits of the texts alone. lowrank's packed texts never see
# each other; a step on packed rows has the loss of the same rows unpacked.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0
"$work/venv/bin/python" - <<'PYTHON'
import sys

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

print("transformers", transformers.__version__)
sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
first, second = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[9, 10, 11]])
row = torch.cat([first, second], dim=1)
positions = torch.tensor([[0, 1, 2, 3, 0, 1, 2]])
ways = {
    "use_cache=False": {"use_cache": False},
    "use_cache=False and a mask of ones": {"use_cache": False, "attention_mask": torch.ones_like(row)},
    "use_cache=True": {"use_cache": True},
    "nothing said": {},
}
apart, mixed = [], []
for config, kind in ((LlamaConfig, LlamaForCausalLM), (Qwen3Config, Qwen3ForCausalLM)):
    torch.manual_seed(0)
    model = kind(config(**sizes, **heads))
    for training in (False, True):
        model.train(training)
        with torch.no_grad():
            alone = model(second).logits
            for name, options in ways.items():
                packed = model(row, position_ids=positions, **options).logits[:, 4:]
                found = float((packed - alone).abs().max() / alone.abs().max())
                (apart if name == "use_cache=False" else mixed).append(found)
                print(f"{kind.__name__}, {'training' if training else 'evaluation'}, {name}: second text off by {found:.6f}")
sys.exit(0 if max(apart) < 1e-5 and min(mixed) > 1e-2 else 1)
PYTHON

#!/usr/bin/env bash
# PEFT's alpha_pattern can mean something else after saving. Of the keys that match a module the first one counts; the config is saved with its keys sorted.
# Where keys overlap, such as a module's kind and that kind in one layer, the trained model and the loaded one scale that layer's update differently: 4 times
# here, with no error and no warning about it. (rank_pattern has the same order; there the sizes of the matrices do not fit, and loading fails.) A pattern that
# is to be portable names each module once. lowrank writes whole names where keys overlap.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 peft==0.21.2
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import copy
import json
import sys
import warnings

import peft
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

warnings.filterwarnings("ignore")
torch.manual_seed(0)
print("peft", peft.__version__)
sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
base = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2))
tokens = torch.arange(8)[None]


def seen(label, model):
    layers = model.base_model.model.model.layers
    scales = [layer.self_attn.q_proj.scaling["default"] for layer in layers]
    print(f"{label}: scales of q_proj by layer {scales}")
    with torch.no_grad():
        return scales, model.eval()(tokens).logits


pattern = {"q_proj": 16, "layers.0.self_attn.q_proj": 64}
options = {"r": 4, "lora_alpha": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM", "init_lora_weights": False}
model = get_peft_model(copy.deepcopy(base), LoraConfig(alpha_pattern=pattern, **options))
trained, wanted = seen("trained", model)
model.save_pretrained("adapter")
print("written:", json.load(open("adapter/adapter_config.json"))["alpha_pattern"])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    again = PeftModel.from_pretrained(copy.deepcopy(base), "adapter")
loaded, found = seen("loaded", again)
said = [str(each.message) for each in caught if "pattern" in str(each.message)]
print(f"logits differ by {float((found - wanted).abs().max()):.4f}; warnings about patterns: {len(said)}")
sys.exit(0 if trained == [4, 4] and loaded == [16, 4] and not said and not torch.allclose(found, wanted, atol=1e-3) else 1)
PYTHON

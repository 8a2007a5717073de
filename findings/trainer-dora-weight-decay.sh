#!/usr/bin/env bash
# transformers' Trainer lets weight_decay act on DoRA's magnitudes. It leaves out biases and norms, by their names; lora_magnitude_vector, though it holds the
# norm of each row of the weight, has neither word in its name. On LoRA's A and B decay pulls the model towards its base. On a magnitude it pulls the weight
# itself towards zero: a run with nothing to learn leaves a LoRA model as its base is, and shrinks every weight that has a DoRA adapter. lowrank's weight_decay
# acts on the same tensors.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 accelerate==1.15.0 peft==0.21.2
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import copy
import sys
import warnings

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

warnings.filterwarnings("ignore")
print("transformers", transformers.__version__, "peft", peft.__version__)
torch.manual_seed(0)
sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
base = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2))
rows = [{"input_ids": list(range(8)), "labels": list(range(8))}] * 100


def trained(**variant):
    """The merged weight after 100 steps whose gradients are all zero, as a share of the base's."""
    model = get_peft_model(copy.deepcopy(base), LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM", **variant))
    options = {"learning_rate": 1e-3, "lr_scheduler_type": "constant", "weight_decay": 0.1, "max_steps": 100}
    quiet = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "log_level": "error", "logging_strategy": "no"}
    arguments = TrainingArguments(output_dir="out", per_device_train_batch_size=1, **options, **quiet)
    nothing = lambda outputs, labels, **_: outputs.logits.sum() * 0.0
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, compute_loss_func=nothing)
    trainer.train()
    names = {id(weight): name for name, weight in model.named_parameters()}
    groups = trainer.optimizer.param_groups
    decayed = {names[id(weight)].split(".")[-3] for group in groups if group["weight_decay"] for weight in group["params"]}
    merged = model.merge_and_unload().model.layers[0].self_attn.q_proj.weight
    share = float(merged.norm() / base.model.layers[0].self_attn.q_proj.weight.norm())
    print(f"{variant or 'LoRA'}: decay on {sorted(decayed)}; the merged weight has {share:.4f} of the base's norm")
    return share, decayed


plain, _ = trained()
dora, decayed = trained(use_dora=True)
sys.exit(0 if abs(plain - 1) < 1e-5 and abs(dora - (1 - 1e-4) ** 100) < 1e-4 and "lora_magnitude_vector" in decayed else 1)
PYTHON

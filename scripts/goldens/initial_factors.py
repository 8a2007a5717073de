#!/usr/bin/env python3
"""Makes test/goldens/initial-factors.json: ten steps of PEFT's PiSSA and OLoRA on the batches of other goldens.

  python scripts/goldens/initial_factors.py [--output test/goldens/initial-factors.json]
"""
import argparse
import json
from pathlib import Path

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from make import train

LLAMA = dict(r=3, lora_alpha=9, target_modules=["q_proj", "k_proj", "o_proj", "up_proj", "down_proj"])
CASES = [
    ("dora", dict(LLAMA, init_lora_weights="pissa")),
    ("dora", dict(LLAMA, init_lora_weights="pissa", use_dora=True)),
    ("dora", dict(LLAMA, init_lora_weights="pissa", use_rslora=True, rank_pattern={"k_proj": 5}, alpha_pattern={"up_proj": 4})),
    ("dora", dict(LLAMA, init_lora_weights="olora")),
    ("gpt2", dict(r=3, lora_alpha=6, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True, init_lora_weights="pissa")),
]


def made(goldens, name, lora):
    torch.manual_seed(1)
    training = json.loads((goldens / name / "reference.json").read_text())["training"]
    model = AutoModelForCausalLM.from_pretrained(goldens / name, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **lora))
    trace = train(model, training["micro_batches"], training["max_grad_norm"], 1)
    trainable, total = model.get_nb_trainable_parameters()
    return dict(base=name, lora=lora, trainable=trainable, all=total, trace=[dict(loss=row["loss"], grad_norm=row["grad_norm"]) for row in trace])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="test/goldens/initial-factors.json")
    output = Path(parser.parse_args().output)
    torch.set_num_threads(1)
    versions = dict(torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__)
    cases = [made(output.parent, *case) for case in CASES]
    output.write_text(json.dumps(dict(versions=versions, cases=cases), indent=1) + "\n")


if __name__ == "__main__":
    main()

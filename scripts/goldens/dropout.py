#!/usr/bin/env python3
"""Makes test/goldens/dropout.json: ten steps with dropout of torch, transformers and peft on the batches of other goldens.

  python scripts/goldens/dropout.py [--output test/goldens/dropout.json]

The masks are the engine's (native/base/rng.h): transformers and PEFT are given them in the place of torch's.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from make import STEPS, train

SEED = 11
LLAMA = dict(r=3, lora_alpha=9, target_modules=["q_proj", "k_proj", "o_proj", "up_proj", "down_proj"])
# base, options of LoRA beside those of the base's initial adapter, or of an adapter that PEFT begins
CASES = [
    dict(base="lora-bias-plus", dropout=0.3),
    dict(base="dora", dropout=0.3),
    dict(base="dora", dropout=0.2, lora=dict(LLAMA, init_lora_weights="pissa")),
    dict(base="dora", dropout=0.2, lora=dict(LLAMA, init_lora_weights="olora")),
    dict(base="dora", dropout=0.2, lora=dict(LLAMA, init_lora_weights="pissa", use_dora=True)),
]


def philox(seed, stream, index):
    """Philox4x32-10: the four words of each counter."""
    mask = np.uint64(0xFFFFFFFF)
    index = index.astype(np.uint64)
    c = [index & mask, index >> np.uint64(32), np.full_like(index, stream & 0xFFFFFFFF), np.full_like(index, stream >> 32)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & mask, (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, -1)


def factors(stream, elements, p):
    """1 / (1 - p) where an element is kept, else 0."""
    words = np.take_along_axis(philox(SEED, stream, elements // 4), (elements % 4)[..., None], -1)[..., 0]
    uniform = (words >> np.uint64(8)).astype(np.float32) * np.float32(2.0 ** -24)
    return torch.from_numpy(np.where(uniform >= np.float32(p), np.float32(1) / (np.float32(1) - np.float32(p)), np.float32(0)))


class MicroBatch:
    """The micro-batch that is on its way: its number, and the place of each padded token among the real ones."""

    def begin(self, number, batch):
        lengths = [len(s) for s in batch["sequences"]]
        first = np.cumsum([0] + lengths[:-1])
        self.number = number
        self.rows = first[:, None] + np.arange(max(lengths))  # padding has a row of another text, and no effect


class HandedMask(torch.nn.Module):
    """Dropout of the adapter at site `number` of `sites`."""

    def __init__(self, micro, number, sites, p):
        super().__init__()
        self.micro, self.number, self.sites, self.p = micro, number, sites, p

    def forward(self, x):
        if not self.training:
            return x
        elements = self.micro.rows[..., None] * x.shape[-1] + np.arange(x.shape[-1])
        return x * factors(self.micro.number * self.sites + self.number, elements, self.p)


def hand_masks(model, micro, targets, p):
    """Sites are numbered by layer, and within a layer as `targets`, which lists the modules in order of use."""
    def order(name):
        return int(next(part for part in name.split(".") if part.isdigit())), next(i for i, t in enumerate(targets) if name.endswith(t))
    layers = {n: m for n, m in model.named_modules() if hasattr(m, "lora_dropout") and len(m.lora_A)}
    for number, name in enumerate(sorted(layers, key=order)):
        layers[name].lora_dropout["default"] = HandedMask(micro, number, len(layers), p)


def made(goldens, case):
    torch.manual_seed(1)
    folder = goldens / case["base"]
    training = json.loads((folder / "reference.json").read_text())["training"]
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if "lora" in case:
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=case["dropout"], **case["lora"]))
    else:
        model = PeftModel.from_pretrained(base, folder / "initial", is_trainable=True)
    micro = MicroBatch()
    targets = case["lora"]["target_modules"] if "lora" in case else TARGETS[case["base"]]
    hand_masks(model, micro, targets, case["dropout"])
    model.train()
    trace = train(model, training["micro_batches"], training["max_grad_norm"], training.get("loraplus_lr_ratio", 1), micro.begin)
    assert len(trace) == STEPS
    return dict(case, seed=SEED, trace=[dict(loss=row["loss"], grad_norm=row["grad_norm"]) for row in trace])


# Of the goldens' own adapters: the modules in order of use.
TARGETS = {
    "lora-bias-plus": ["q_proj", "v_proj", "o_proj", "up_proj"],
    "dora": ["q_proj", "k_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="test/goldens/dropout.json")
    output = Path(parser.parse_args().output)
    torch.set_num_threads(1)
    versions = dict(torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__)
    cases = [made(output.parent, case) for case in CASES]
    output.write_text(json.dumps(dict(versions=versions, cases=cases), indent=1) + "\n")


if __name__ == "__main__":
    main()

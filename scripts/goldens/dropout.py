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
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

import classify
from make import STEPS, collapse_numbers, padded, train

SEED = 11
LLAMA = dict(r=3, lora_alpha=9, target_modules=["q_proj", "k_proj", "o_proj", "up_proj", "down_proj"])
# base, options of LoRA beside those of the base's initial adapter, or of an adapter that PEFT begins
CASES = [
    dict(base="lora-bias-plus", dropout=0.3),
    dict(base="dora", dropout=0.3),
    dict(base="dora", dropout=0.2, lora=dict(LLAMA, init_lora_weights="pissa")),
    dict(base="dora", dropout=0.2, lora=dict(LLAMA, init_lora_weights="olora")),
    dict(base="dora", dropout=0.2, lora=dict(LLAMA, init_lora_weights="pissa", use_dora=True)),
    dict(base="opt-350m-all-linear", dropout=0.3),
    dict(base="opt-350m-dora", dropout=0.3),
]
# Of the base's configuration: its keys, and the parts of a layer that drop out, in order of use. embedding: the embeddings do, too.
BASES = [
    dict(base="gpt2", dropout=0.1, config=dict(embd_pdrop=0.2, attn_pdrop=0.3, resid_pdrop=0.15), embedding=True, parts=["probabilities", "attention", "mlp"]),
    dict(base="gptj", dropout=0, config=dict(embd_pdrop=0.2, attn_pdrop=0.3, resid_pdrop=0.15), embedding=True, parts=["probabilities", "attention", "mlp"]),
    dict(base="gpt-neo", dropout=0, config=dict(embed_dropout=0.2, attention_dropout=0.3, resid_dropout=0.15), embedding=True, parts=["probabilities", "attention", "mlp"]),
    dict(base="gpt-neox", dropout=0, config=dict(attention_dropout=0.3, hidden_dropout=0.15), embedding=True, parts=["probabilities", "attention", "mlp"]),
    dict(base="opt", dropout=0, config=dict(attention_dropout=0.3, dropout=0.15), parts=["probabilities", "attention", "mlp"]),
    dict(base="bloom", dropout=0, config=dict(attention_dropout=0.3, hidden_dropout=0.15), parts=["probabilities", "attention", "mlp"]),
    dict(base="falcon-7b", dropout=0, config=dict(attention_dropout=0.3, hidden_dropout=0.15), parts=["attention"]),
    dict(base="falcon-rw", dropout=0, config=dict(attention_dropout=0.3, hidden_dropout=0.15), parts=["probabilities", "attention", "mlp"]),
    dict(base="phi", dropout=0, config=dict(embd_pdrop=0.2, attention_dropout=0.3, resid_pdrop=0.15), embedding=True, parts=["probabilities", "attention", "mlp"]),
    dict(base="phi3", dropout=0, config=dict(attention_dropout=0.3, resid_pdrop=0.15), parts=["probabilities", "attention", "mlp"]),
    dict(base="stablelm", dropout=0, config=dict(attention_dropout=0.3, hidden_dropout=0.15), parts=["probabilities", "mlp"]),
    dict(base="mistral", dropout=0, config=dict(attention_dropout=0.3), parts=["probabilities"]),
    dict(base="gemma2", dropout=0, config=dict(attention_dropout=0.3), parts=["probabilities"]),
    dict(base="whole-bloom", dropout=0, config=dict(attention_dropout=0.3, hidden_dropout=0.15), parts=["probabilities", "attention", "mlp"]),
]
CLASSIFIERS = [
    dict(base="bert-all-linear", dropout=0.3, config=dict(hidden_dropout_prob=0.15, attention_probs_dropout_prob=0.3, classifier_dropout=0.0),
         embedding=True, parts=["probabilities", "attention", "mlp"]),
    dict(base="bert-all-multi", dropout=0, config=dict(hidden_dropout_prob=0.15, attention_probs_dropout_prob=0.3, classifier_dropout=0.0),
         embedding=True, parts=["probabilities", "attention", "mlp"]),
    dict(base="distilbert-all-regression", dropout=0, config=dict(dropout=0.15, attention_dropout=0.3), embedding=True, parts=["probabilities", "mlp"]),
]
PARTS = ["probabilities", "attention", "mlp"]
BASE_STREAM = 1 << 60


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
    """The micro-batch that is on its way: its number, the place of each padded token among the real ones, and among those that the head reads."""

    def begin(self, number, batch):
        lengths = [len(s) for s in batch.get("sequences") or batch["texts"]]
        self.calls = 0
        first = np.cumsum([0] + lengths[:-1])
        self.number = number
        self.rows = first[:, None] + np.arange(max(lengths))  # padding has a row of another text, and no effect
        if "texts" in batch:  # a classifier reads one token of each
            self.read = np.arange(len(lengths))
        else:
            learned = padded(batch)[2][:, 1:] != -100
            learned = torch.nn.functional.pad(learned, (0, 1)).flatten()
            self.read = (learned.cumsum(0) - 1).clamp(min=0).reshape(self.rows.shape).numpy()  # others have no effect


class HandedMask(torch.nn.Module):
    """Dropout of the adapter at site `number` of `sites`; of_read: its rows are the tokens that are read, after the blocks."""

    def __init__(self, micro, number, sites, p, of_read):
        super().__init__()
        self.micro, self.number, self.sites, self.p, self.of_read = micro, number, sites, p, of_read

    def forward(self, x):
        if not self.training:
            return x
        rows = self.micro.read if self.of_read else self.micro.rows
        elements = rows[..., None] * x.shape[-1] + np.arange(x.shape[-1])
        return x * factors(self.micro.number * self.sites + self.number, elements, self.p).reshape(x.shape)


class BaseMasks:
    """Hands the base's dropouts their masks in the place of torch's, by the order of their calls within a forward pass."""

    def __init__(self, micro, layers, parts, embedding):
        self.micro, self.layers, self.parts = micro, layers, parts
        self.order = ([0] if embedding else []) + [1 + 3 * layer + PARTS.index(part) for layer in range(layers) for part in parts]

    def next_mask(self, shape, p):
        number = self.order[self.micro.calls]
        self.micro.calls += 1
        rows = self.micro.rows
        if len(shape) == 4:  # probabilities: text, head, query, key
            heads, keys = np.arange(shape[1]), np.arange(shape[3])
            elements = ((rows[:, None, :, None] * shape[1] + heads[None, :, None, None]) << 32) + keys
        else:
            elements = (rows[..., None] * shape[-1] + np.arange(shape[-1])).reshape(shape)
        return factors(BASE_STREAM + self.micro.number * (1 + 3 * self.layers) + number, elements, p)

    def dropout(self, x, p=0.5, training=True, inplace=False):
        return x * self.next_mask(x.shape, p) if training and p > 0 else x

    def attention(self, q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
        if enable_gqa:
            k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], 1) for t in (k, v))
        scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -torch.inf)
        if attn_mask is not None:
            scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        weights = scores.softmax(-1).nan_to_num()
        return self.dropout(weights, dropout_p) @ v


def made_base(goldens, case):
    folder = goldens / case["base"]
    reference = json.loads((folder / "reference.json").read_text())
    classifies = "problem" in reference
    kind = AutoModelForSequenceClassification if classifies else AutoModelForCausalLM
    base = kind.from_pretrained(folder, dtype=torch.float32, **case["config"])
    model = PeftModel.from_pretrained(base, folder / "initial", is_trainable=True)
    micro = MicroBatch()
    if case["dropout"]:
        hand_masks(model, micro, TARGETS[case["base"]], case["dropout"])
    masks = BaseMasks(micro, model.config.num_hidden_layers, case["parts"], case.get("embedding", False))
    functional, training = torch.nn.functional, reference["training"]
    kept = functional.dropout, functional.scaled_dot_product_attention
    functional.dropout, functional.scaled_dot_product_attention = masks.dropout, masks.attention
    model.train()
    if classifies:
        given = next(c for c in classify.CASES if c.name == case["base"])
        trace = classify.train(model, given, training["batches"], micro.begin)
    else:
        trace = train(model, training["micro_batches"], training["max_grad_norm"], training.get("loraplus_lr_ratio", 1), micro.begin)
    functional.dropout, functional.scaled_dot_product_attention = kept
    assert micro.calls == len(masks.order), (case["base"], micro.calls)
    case = {name: case[name] for name in ("base", "dropout", "config")}
    return dict(case, seed=SEED, trace=[dict(loss=row["loss"], grad_norm=row["grad_norm"]) for row in trace])


def hand_masks(model, micro, targets, p):
    """Sites are numbered by layer, and within a layer as `targets`, which lists the modules in order of use."""
    behind = 1 << 20
    outside = {"project_in": -1, "project_out": behind, "pooler.dense": behind}

    def layer_of(name):
        return next((layer for part, layer in outside.items() if name.endswith(part)), None) or int(next(part for part in name.split(".") if part.isdigit()))

    def order(name):
        return layer_of(name), next((i for i, t in enumerate(targets) if name.endswith(t)), 0)
    layers = {n: m for n, m in model.named_modules() if hasattr(m, "lora_dropout") and len(m.lora_A)}
    for number, name in enumerate(sorted(layers, key=order)):
        layers[name].lora_dropout["default"] = HandedMask(micro, number, len(layers), p, layer_of(name) == behind)


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
    "gpt2": ["c_attn", "attn.c_proj", "mlp.c_proj"],
    "opt-350m-all-linear": ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"],
    "opt-350m-dora": [],
    "bert-all-linear": ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="test/goldens/dropout.json")
    output = Path(parser.parse_args().output)
    torch.set_num_threads(1)
    versions = dict(torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__)
    cases = [made(output.parent, case) for case in CASES]
    bases = [made_base(output.parent, case) for case in BASES]
    classifiers = [made_base(output.parent.parent / "goldens-classify", case) for case in CLASSIFIERS]
    output.write_text(collapse_numbers(json.dumps(dict(versions=versions, cases=cases, bases=bases, classifiers=classifiers), indent=1)) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# transformers' Trainer weighs each token alike in the training loss, but not in eval_loss: a batch's loss is the mean over its tokens, and eval_loss the mean
# over batches, each counted by its rows. With texts of unlike lengths the same model on the same rows has another eval_loss for each
# per_device_eval_batch_size, and for another order of the rows. exp(eval_loss) is no perplexity, and two runs whose batch sizes differ cannot be compared; the
# best checkpoint may be another one. lowrank's eval_loss is the mean over all tokens, whatever the batch.
# Exit code 0: still so; 1: it behaves otherwise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.15.0 transformers==5.24.0 accelerate==1.15.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys

import torch
import transformers
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

print("transformers", transformers.__version__)
torch.manual_seed(0)
sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "initializer_range": 0.5}
model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2))
texts = [torch.randint(0, 64, (length,)) for length in (2, 30, 3, 25, 4, 20, 2, 28)]
rows = [{"input_ids": text, "labels": text} for text in texts]


def collate(batch):
    tokens = [row["input_ids"] for row in batch]
    return {
        "input_ids": pad_sequence(tokens, batch_first=True),
        "attention_mask": pad_sequence([torch.ones_like(text) for text in tokens], batch_first=True),
        "labels": pad_sequence(tokens, batch_first=True, padding_value=-100),
    }


def evaluated(rows, size):
    options = {"per_device_eval_batch_size": size, "use_cpu": True, "report_to": "none", "disable_tqdm": True, "log_level": "error"}
    trainer = Trainer(model=model, args=TrainingArguments(output_dir="out", **options), data_collator=collate)
    return trainer.evaluate(rows)["eval_loss"]


with torch.no_grad():
    sums = [(float(model(text[None], labels=text[None]).loss) * (len(text) - 1), len(text) - 1) for text in texts]
mean = sum(loss for loss, _ in sums) / sum(count for _, count in sums)
found = {size: evaluated(rows, size) for size in (1, 2, 8)}
other = evaluated(sorted(rows, key=lambda row: len(row["input_ids"])), 2)
print(f"mean over all tokens: {mean:.4f}")
print("eval_loss by batch size:", {size: round(loss, 4) for size, loss in found.items()}, "sorted by length, 2 a batch:", round(other, 4))
print("eval_loss with all rows in one batch is the mean over tokens:", abs(found[8] - mean) < 1e-4)
sys.exit(0 if abs(found[8] - mean) < 1e-4 and abs(found[1] - mean) > 0.05 and abs(other - found[2]) > 0.05 else 1)
PYTHON

"""Writes test/fixtures/completions.json: prompts and completions as TRL's SFTTrainer tokenises and masks them, and their loss.

Usage: python scripts/goldens/completions.py    (needs trl, transformers and torch; written by trl 1.16.0, transformers 5.24.0)
"""
import json
import os
import pathlib
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

ROOT = pathlib.Path(__file__).parents[2]
BASE = ROOT / "examples" / "tiny-base"
ROWS = [
    ("The capital of France", " is Paris."),
    ("The capi", "tal of France"),
    ("Question: why? ", "because"),
    ("Question: why?", ""),
    ("", "only a completion"),
    ("A", "B</s>"),
    ("ends with its end</s>", ""),
    ("Soup of leeks with ünï 🙂", " potatoes\n\nand cream"),
    ("a prompt that is longer than the others are, by far and away", " short"),
]


def tokenised(model, tokenizer, max_length):
    config = SFTConfig(output_dir=tempfile.mkdtemp(), use_cpu=True, bf16=False, report_to="none", max_length=max_length)
    data = Dataset.from_list([{"prompt": p, "completion": c, "row": i} for i, (p, c) in enumerate(ROWS)])
    trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    return [{"row": d["row"], "ids": d["input_ids"], "labels": d["labels"]} for d in trainer.train_dataset]


def main():
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).eval()
    cases = []
    for max_length in [64, 8]:
        rows = tokenised(model, tokenizer, max_length)
        total = count = 0
        for row in rows:
            labels = torch.tensor([row["labels"]])
            learned = int((labels[:, 1:] != -100).sum())
            if learned == 0:
                continue
            with torch.no_grad():
                total += float(model(torch.tensor([row["ids"]]), labels=labels).loss) * learned
            count += learned
        cases.append({"max_length": max_length, "rows": rows, "learned": count, "loss": total / count})
    texts = [{"prompt": p, "completion": c} for p, c in ROWS]
    out = ROOT / "test" / "fixtures" / "completions.json"
    out.write_text(json.dumps({"texts": texts, "cases": cases}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A classifier trained by PyTorch + PEFT, for parity checks: rows in file order, without dropout, from an initial adapter that it saves.

  python classify_peer.py --base_model DIR --train_file t.csv --validation_file v.csv --output_dir OUT [options]
  python classify_peer.py --adapter DIR,DIR --validation_file v.csv --logits_file FILE,FILE

Prints one JSON line a step {step, loss, grad_norm, learning_rate, tokens}, then {trainable, all, seconds} and one line an epoch {epoch, eval_loss,
eval_accuracy}. OUT/initial is the adapter before the first step, OUT/final after the last. The second form writes the logits of adapters
of any trainer, raw float32, as AutoPeftModelForSequenceClassification gives them.
"""
import argparse
import csv
import json
import time

import torch
from peft import AutoPeftModelForSequenceClassification, LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def read(path):
    with open(path, encoding="utf-8", newline="") as f:
        return [(row["text"], row["label"]) for row in csv.DictReader(f)]


def batches(tokenizer, rows, labels, size, length, side):
    tokenizer.truncation_side = side
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    for at in range(0, len(rows), size):
        some = rows[at:at + size]
        inputs = tokenizer([text for text, _ in some], truncation=True, max_length=length, padding=True, return_tensors="pt")
        yield inputs, torch.tensor([labels.index(label) for _, label in some])


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def evaluate(model, found):
    model.eval()
    loss, right, count = 0.0, 0, 0
    with torch.no_grad():
        for inputs, labels in found:
            logits = model(**inputs).logits
            loss += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(-1) == labels).sum().item()
            count += len(labels)
    model.train()
    return dict(eval_loss=loss / count, eval_accuracy=right / count)


def train(a):
    torch.manual_seed(a.seed)
    rows, held = read(a.train_file), read(a.validation_file)
    labels = sorted({label for _, label in rows})
    tokenizer = AutoTokenizer.from_pretrained(a.base_model)
    model = AutoModelForSequenceClassification.from_pretrained(a.base_model, num_labels=len(labels), dtype=torch.float32)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.eos_token_id
    lora = LoraConfig(r=a.lora_r, lora_alpha=a.lora_alpha, lora_dropout=0.0, target_modules=a.target_modules.split(","), task_type="SEQ_CLS")
    model = get_peft_model(model, lora)
    without_dropout(model)
    model.save_pretrained(f"{a.output_dir}/initial")
    model.train()
    named = {name: w for name, w in model.named_parameters() if w.requires_grad}
    groups = [dict(params=[w for name, w in named.items() if name.endswith("bias") == bias], weight_decay=0.0 if bias else a.weight_decay)
              for bias in (False, True)]
    optimizer = torch.optim.AdamW(groups, lr=a.learning_rate)
    per_epoch = -(-len(rows) // a.per_device_train_batch_size)
    steps = min(a.max_steps or per_epoch * a.num_train_epochs, per_epoch * a.num_train_epochs)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: max(0.0, (steps - s) / steps))
    of = lambda some: batches(tokenizer, some, labels, a.per_device_train_batch_size, a.max_seq_length, a.truncation_side)
    step, seconds = 0, 0.0
    while step < steps:
        for inputs, wanted in of(rows):
            if step == steps:
                break
            begin = time.perf_counter()
            loss = model(**inputs, labels=wanted).loss
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(list(named.values()), a.max_grad_norm).item()
            rate = optimizer.param_groups[0]["lr"]
            optimizer.step(), schedule.step(), optimizer.zero_grad(set_to_none=True)
            seconds += time.perf_counter() - begin
            step += 1
            print(json.dumps(dict(step=step, loss=loss.item(), grad_norm=norm, learning_rate=rate, tokens=int(inputs["attention_mask"].sum()))), flush=True)
        print(json.dumps(dict(epoch=step / per_epoch, **evaluate(model, of(held)))), flush=True)
    trainable, everything = model.get_nb_trainable_parameters()
    print(json.dumps(dict(trainable=trainable, all=everything, seconds=seconds)))
    model.save_pretrained(f"{a.output_dir}/final")


def logits_of(a, adapter, logits_file):
    rows = read(a.validation_file)
    labels = sorted({label for _, label in rows})
    with open(f"{adapter}/adapter_config.json") as f:
        base = json.load(f)["base_model_name_or_path"]
    model = AutoPeftModelForSequenceClassification.from_pretrained(adapter, num_labels=len(labels), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.eos_token_id
    model.eval()
    with torch.no_grad():
        found = [model(**inputs).logits for inputs, _ in batches(tokenizer, rows, labels, 16, a.max_seq_length, a.truncation_side)]
    torch.cat(found).contiguous().numpy().tofile(logits_file)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("base_model", "train_file", "output_dir", "adapter", "logits_file"):
        p.add_argument(f"--{name}")
    p.add_argument("--validation_file", required=True)
    p.add_argument("--lora_r", type=int, default=4)
    p.add_argument("--lora_alpha", type=int, default=32)
    p.add_argument("--target_modules", default="query,value")
    p.add_argument("--max_seq_length", type=int, default=128)
    p.add_argument("--truncation_side", default="left")
    p.add_argument("--per_device_train_batch_size", type=int, default=4)
    p.add_argument("--learning_rate", type=float, default=1e-3)
    p.add_argument("--weight_decay", type=float, default=0.01)
    p.add_argument("--max_grad_norm", type=float, default=1.0)
    p.add_argument("--num_train_epochs", type=int, default=1)
    p.add_argument("--max_steps", type=int, default=0)
    p.add_argument("--seed", type=int, default=42)
    a = p.parse_args()
    torch.set_num_threads(2)
    if a.adapter:
        for adapter, file in zip(a.adapter.split(","), a.logits_file.split(","), strict=True):
            logits_of(a, adapter, file)
    else:
        train(a)


if __name__ == "__main__":
    main()

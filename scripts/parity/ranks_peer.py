#!/usr/bin/env python3
"""PEFT on texts in the order of their file, under torchrun: its processes share each step's micro-batches over gloo.

Takes one JSON object of options, whose names are lowrank's, and `initial`, the folder that the first adapter is written to. The first process prints
a JSON line {step, loss, grad_norm, learning_rate} for each step. Micro-batch i of a step is process i mod n's. The last steps of
an epoch have the micro-batches that are left."""

import json, sys
from contextlib import nullcontext

import torch
import torch.distributed as dist
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

o = json.loads(sys.argv[1])
torch.manual_seed(0)
torch.set_num_threads(1)
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
tokenizer = AutoTokenizer.from_pretrained(o["base_model"])
peft = get_peft_model(
    AutoModelForCausalLM.from_pretrained(o["base_model"], dtype=torch.float32),
    LoraConfig(
        r=o["lora_r"], lora_alpha=o["lora_alpha"], lora_dropout=0.0, target_modules=o["target_modules"].split(","), task_type="CAUSAL_LM"
    ),
)
if rank == 0:
    peft.save_pretrained(o["initial"])
peft.config.use_cache = False
peft.train()
model = torch.nn.parallel.DistributedDataParallel(peft)
parameters = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(parameters, lr=o["learning_rate"], weight_decay=0.0)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (o["max_steps"] - step) / o["max_steps"])

with open(o["train_file"], encoding="utf-8") as file:
    texts = [json.loads(line)["text"] for line in file if line.strip()]
ids = [tokenizer(text, truncation=True, max_length=o["max_seq_length"])["input_ids"] for text in texts]
rows = o["per_device_train_batch_size"]
epoch = [ids[i : i + rows] for i in range(0, len(ids), rows)]
per_step = o["gradient_accumulation_steps"] * world
steps = [epoch[i : i + per_step] for i in range(0, len(epoch), per_step)]


def summed_loss(batch):
    """One forward pass a micro-batch, as DDP expects."""
    length = max(map(len, batch))
    tokens = torch.tensor([row + [0] * (length - len(row)) for row in batch])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in batch])
    logits = model(input_ids=tokens, attention_mask=mask).logits
    targets = tokens.masked_fill(mask == 0, -100)[:, 1:]
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum")


for step in range(o["max_steps"]):
    batches = steps[step % len(steps)]
    supervised = sum(len(row) - 1 for batch in batches for row in batch)
    own = batches[rank::world]
    total = torch.zeros(())
    for i, batch in enumerate(own):
        with nullcontext() if i + 1 == len(own) else model.no_sync():
            # DDP takes the mean over its processes.
            loss = summed_loss(batch) / supervised
            (loss * world).backward()
        total += loss.detach()
    dist.all_reduce(total)
    norm = torch.nn.utils.clip_grad_norm_(parameters, o["max_grad_norm"])
    rate = optimizer.param_groups[0]["lr"]
    optimizer.step()
    schedule.step()
    optimizer.zero_grad(set_to_none=True)
    if rank == 0:
        print(json.dumps({"step": step + 1, "loss": total.item(), "grad_norm": norm.item(), "learning_rate": rate}), flush=True)
dist.destroy_process_group()

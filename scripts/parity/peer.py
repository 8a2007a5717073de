#!/usr/bin/env python3
"""What transformers and peft make of model and adapter folders: logits and greedy text.

Reads a JSON list of jobs from stdin and prints one JSON line for each:
  {"model": DIR, "adapter": DIR or null, "ids": [...], "logits_file": FILE}          -> {"shape": [tokens, vocab]}
  {"model": DIR, "adapter": DIR or null, "prompt": TEXT, "new_tokens": N}            -> {"ids": [...], "text": ...}
  {"model": DIR, "adapter": DIR or null, "prompt_ids": [...], "new_tokens": N}       -> {"ids": [...]}
Logits are written as raw float32, row-major. Everything is computed in float32.
"""
import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer


def load(job):
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32)
    if job.get("adapter"):
        model = PeftModel.from_pretrained(model, job["adapter"])
    return model.eval()


def greedy(model, ids, job):
    prompt = torch.tensor([ids])
    out = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                         max_new_tokens=job["new_tokens"])
    return out[0, len(ids):].tolist()


def run(job):
    model = load(job)
    if "logits_file" in job:
        logits = model(input_ids=torch.tensor([job["ids"]])).logits[0].float().contiguous()
        logits.numpy().tofile(job["logits_file"])
        return dict(shape=list(logits.shape))
    if "prompt" in job:
        tokenizer = AutoTokenizer.from_pretrained(job["model"])
        ids = greedy(model, tokenizer(job["prompt"])["input_ids"], job)
        return dict(ids=ids, text=tokenizer.decode(ids, skip_special_tokens=True))
    return dict(ids=greedy(model, job["prompt_ids"], job))


def main():
    torch.set_num_threads(2)
    with torch.no_grad():
        for job in json.load(sys.stdin):
            print(json.dumps(run(job)), flush=True)


if __name__ == "__main__":
    main()

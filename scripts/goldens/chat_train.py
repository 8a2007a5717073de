"""Trains on conversations with TRL's SFTTrainer, and prints the loss of each step.

Usage: python scripts/goldens/chat_train.py BASE TEMPLATE DATA ADAPTER STEPS    makes the folder ADAPTER, with which it begins
(needs trl, peft, transformers and torch)
"""
import json
import logging
import os
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import datasets
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

base, template, data, adapter, steps = sys.argv[1:]
logging.disable(logging.WARNING)
datasets.disable_progress_bars()
torch.manual_seed(0)
# Threads that wait for each other on a busy machine take the most of the time.
torch.set_num_threads(1)


class Recorded(SFTTrainer):
    losses = []

    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        self.losses.append(float(loss[0] if isinstance(loss, tuple) else loss))
        return loss


model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), LoraConfig(
    r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM"))
model.save_pretrained(adapter)
tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
tokenizer.chat_template = open(template, encoding="utf-8", newline="").read()
args = SFTConfig(
    output_dir=tempfile.mkdtemp(), use_cpu=True, bf16=False, report_to="none", gradient_checkpointing=False, max_length=256, assistant_only_loss=True,
    per_device_train_batch_size=4, max_steps=int(steps), learning_rate=1e-3, lr_scheduler_type="constant", weight_decay=0.0, max_grad_norm=1.0,
    train_sampling_strategy="sequential", save_strategy="no", disable_tqdm=True)
rows = [json.loads(line) for line in open(data, encoding="utf-8")]
trainer = Recorded(model=model, args=args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
trainer.train()
print(json.dumps(trainer.losses))

#!/usr/bin/env python3
"""Pre-trains the tiny LLaMA-architecture base model of examples/tiny-base, tokenizer included, from public-domain text.

  python scripts/pretrain-tiny.py --train_file sotu-train.jsonl --validation_file sotu-valid.jsonl --output_dir examples/tiny-base

Needs torch, transformers and tokenizers; one core for about eight minutes at the default number of steps. The model is
stored in bf16 and as transformers writes it, so that the example is read the way any downloaded model would be.
"""
import argparse
import json
import math
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BOS, EOS = "<s>", "</s>"


def rows(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines if line.strip()]


def train_tokenizer(texts, vocab_size):
    """Byte-level BPE that puts <s> before every text; </s> is written by whoever wants a text to end."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[BOS, EOS], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    bpe.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, bpe.token_to_id(BOS))])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=BOS, eos_token=EOS, pad_token=EOS,
                                   model_max_length=512, clean_up_tokenization_spaces=False)


def token_stream(tokenizer, texts):
    """Every text as <s> tokens </s>, one after the other."""
    ids = [i for text in tokenizer(texts)["input_ids"] for i in [*text, tokenizer.eos_token_id]]
    return torch.tensor(ids)


def mean_loss(model, stream, window):
    """Mean token loss over the stream cut into windows."""
    windows = stream[: len(stream) // window * window].view(-1, window)
    model.eval()
    with torch.no_grad():
        losses = [model(input_ids=w, labels=w).loss.item() for w in windows.split(16) if len(w) == 16]
    model.train()
    return sum(losses) / len(losses)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--train_file", required=True, help="JSON Lines with a text column")
    p.add_argument("--validation_file", required=True)
    p.add_argument("--output_dir", required=True)
    p.add_argument("--vocab_size", type=int, default=2048)
    p.add_argument("--steps", type=int, default=1300)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--window", type=int, default=192, help="tokens of a training window")
    p.add_argument("--learning_rate", type=float, default=4e-3)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)

    texts = rows(a.train_file)
    tokenizer = train_tokenizer(texts, a.vocab_size)
    stream = token_stream(tokenizer, texts)
    held_out = token_stream(tokenizer, rows(a.validation_file))
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=352, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, rms_norm_eps=1e-5, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model = LlamaForCausalLM(config)
    print(f"{model.num_parameters():,} parameters, {len(stream):,} training tokens", flush=True)

    matrices = [w for w in model.parameters() if w.dim() == 2]
    norms = [w for w in model.parameters() if w.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.05}, {"params": norms, "weight_decay": 0.0}],
                                  lr=a.learning_rate, betas=(0.9, 0.98))
    warmup = min(50, a.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: (s + 1) / warmup if s < warmup else
        0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (s - warmup) / max(1, a.steps - warmup))))
    start = time.time()
    for step in range(1, a.steps + 1):
        at = torch.randint(0, len(stream) - a.window, (a.batch,))
        batch = torch.stack([stream[i : i + a.window] for i in at])
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(), schedule.step(), optimizer.zero_grad(set_to_none=True)
        if step % 100 == 0 or step == a.steps:
            print(f"step {step}: loss {loss.item():.3f}, {time.time() - start:.0f} s", flush=True)

    model = model.to(torch.bfloat16)
    print(f"validation loss of the stored weights: {mean_loss(model.float(), held_out, a.window):.4f}")
    model.generation_config = GenerationConfig(bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id,
                                               pad_token_id=config.pad_token_id)
    Path(a.output_dir).mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(a.output_dir)
    tokenizer.save_pretrained(a.output_dir)


if __name__ == "__main__":
    main()

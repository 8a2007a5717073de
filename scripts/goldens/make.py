#!/usr/bin/env python3
"""Makes test/goldens: the results of torch, transformers and peft for tiny models, in fp32.

  python scripts/goldens/make.py [--only NAME] [--output_dir test/goldens]

For each case of cases.py a folder with the model as transformers saves it, `initial/` and `final/` adapters as peft
saves them, `reference.safetensors` (logits of the batch, dA and dB of its mean loss) and `reference.json` (the batch,
its loss, ten optimizer steps with accumulation, warmup, weight decay and clipping, and a greedy continuation).

Written with the versions that each reference.json names.
"""
import argparse
import json
import re
import shutil
from pathlib import Path

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from cases import ATTENTION, BASE, CASES

STEPS, ACCUMULATION = 10, 2
TRAINING = dict(learning_rate=5e-3, weight_decay=0.1, warmup_steps=3, beta1=0.9, beta2=0.999, epsilon=1e-8)


def make_base(case, folder):
    """A random model, large enough in its weights that attention and SwiGLU are far from linear."""
    config = AutoConfig.for_model(case.model_type, **{**case.base, **case.model})
    model = AutoModelForCausalLM.from_config(config)
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, w in model.named_parameters():
            module = modules[name.rpartition(".")[0]]
            if w.dim() == 2 and "norm" not in name:
                inputs = w.shape[0 if isinstance(module, Conv1D) else 1]
                w.normal_(0, 1.0 if isinstance(module, torch.nn.Embedding) else 1.5 / inputs ** 0.5)
                if case.small_scores and re.search(r"[qk]_proj", name):
                    w.mul_((config.hidden_size / config.num_attention_heads) ** -0.25)
            elif name.endswith("bias"):
                w.normal_(0, 0.3)
            elif case.model_type.startswith("gemma"):
                w.uniform_(-0.5, 0.5)  # of norms of 1 + weight
            else:
                w.uniform_(0.5, 1.5)
        if config.tie_word_embeddings:
            model.get_input_embeddings().weight.mul_(0.3)  # else the logits of a tied head are huge
    model.to(getattr(torch, case.dtype)).save_pretrained(folder)


def add_adapter(case, model):
    options = dict(r=4, lora_alpha=6, lora_dropout=0.0, target_modules=ATTENTION, task_type="CAUSAL_LM")
    model = get_peft_model(model, LoraConfig(**{**options, **case.lora}))
    with torch.no_grad():
        for name, w in model.named_parameters():
            if "lora_B" in name:  # PEFT's zeros would make every dA zero
                w.normal_(0, 0.1)
            elif "trainable_tokens_delta" in name:
                w.add_(torch.empty_like(w).normal_(0, 0.1))
            elif "lora_magnitude_vector" in name:
                w.mul_(torch.empty_like(w).uniform_(0.8, 1.2))
    return model


def random_batch(vocab, lengths):
    """Sequences of these lengths; the first tokens of each second one are a prompt that is not trained on."""
    sequences = [torch.randint(2, vocab, (n,)).tolist() for n in lengths]
    return dict(sequences=sequences, prompt_tokens=[3 if i % 2 else 0 for i in range(len(lengths))])


def padded(batch):
    sequences, longest = batch["sequences"], max(map(len, batch["sequences"]))
    ids = torch.tensor([s + [1] * (longest - len(s)) for s in sequences])
    mask = torch.tensor([[1] * len(s) + [0] * (longest - len(s)) for s in sequences])
    labels = ids.masked_fill(mask == 0, -100)
    for row, n in zip(labels, batch["prompt_tokens"]):
        row[:n] = -100
    return ids, mask, labels


def supervised(batch):
    return int((padded(batch)[2][:, 1:] != -100).sum())


def summed_loss(model, batch):
    """Logits and the summed loss of the supervised next tokens."""
    ids, mask, labels = padded(batch)
    logits = model(input_ids=ids, attention_mask=mask).logits
    loss = torch.nn.functional.cross_entropy(
        logits[:, :-1].reshape(-1, logits.size(-1)), labels[:, 1:].reshape(-1), ignore_index=-100, reduction="sum")
    return logits, loss


def engine_name(parameter):
    name = parameter.removeprefix("base_model.model.").replace(".default", "").replace(".modules_to_save", "")
    return name.replace("lora_magnitude_vector.weight", "lora_magnitude_vector")


def adapter_parameters(model):
    return {engine_name(n): w for n, w in model.named_parameters() if w.requires_grad}


def one_pass(model, batch):
    """Logits of the real tokens one after the other, mean loss, and its gradients."""
    logits, loss = summed_loss(model, batch)
    mean = loss / supervised(batch)
    mean.backward()
    rows = torch.cat([row[: len(s)] for row, s in zip(logits, batch["sequences"])])
    tensors = {"logits": rows.detach().contiguous()}
    tensors.update({n: w.grad.clone() for n, w in adapter_parameters(model).items()})
    model.zero_grad(set_to_none=True)
    return tensors, mean.item()


def make_optimizer(model, params, ratio):
    o = TRAINING
    options = dict(lr=o["learning_rate"], betas=(o["beta1"], o["beta2"]), eps=o["epsilon"])
    if ratio != 1:
        return create_loraplus_optimizer(model, torch.optim.AdamW, loraplus_lr_ratio=ratio,
                                         loraplus_weight_decay=o["weight_decay"], **options)
    # As the Trainer: biases do not decay.
    biases = [w for n, w in adapter_parameters(model).items() if n.endswith(".bias")]
    others = [w for n, w in adapter_parameters(model).items() if not n.endswith(".bias")]
    groups = [dict(params=others), dict(params=biases, weight_decay=0.0)] if biases else others
    return torch.optim.AdamW(groups, weight_decay=o["weight_decay"], **options)


def train(model, batches, max_grad_norm, ratio, begin=lambda number, batch: None):
    """Ten steps with the loss normalised by the supervised tokens of the whole accumulation window.

    `begin` is told of each micro-batch before its forward pass.
    """
    params = list(adapter_parameters(model).values())
    o = TRAINING
    optimizer = make_optimizer(model, params, ratio)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, o["warmup_steps"], STEPS)
    trace = []
    for step in range(STEPS):
        window = batches[step * ACCUMULATION : (step + 1) * ACCUMULATION]
        tokens, total = sum(map(supervised, window)), 0.0
        for i, batch in enumerate(window):
            begin(step * ACCUMULATION + i, batch)
            loss = summed_loss(model, batch)[1] / tokens
            loss.backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(params, max_grad_norm).item()
        trace.append(dict(step=step + 1, loss=total, grad_norm=norm, learning_rate=schedule.get_last_lr()[0], tokens=tokens))
        optimizer.step(), schedule.step(), optimizer.zero_grad(set_to_none=True)
    return trace


def greedy(model, prompt, new_tokens, least_margin=0.02):
    """The most likely continuation, each token from a whole forward pass; None where two tokens are nearly as likely."""
    ids = list(prompt)
    for _ in range(new_tokens):
        with torch.no_grad():
            best = model(input_ids=torch.tensor([ids])).logits[0, -1].topk(2)
        if best.values[0] - best.values[1] < least_margin:
            return None
        ids.append(best.indices[0].item())
    return ids[len(prompt):]


def generation(model, longest):
    """A prompt and its continuation with the trained adapter, within the length that every rope treats alike."""
    while True:
        prompt = torch.randint(2, model.config.vocab_size, (6,)).tolist()
        tokens = greedy(model, prompt, min(getattr(model.config, "max_position_embeddings", longest), longest) - len(prompt))
        if tokens:
            return dict(prompt=prompt, tokens=tokens)


def save_adapter(model, folder):
    model.peft_config["default"].base_model_name_or_path = folder.parent.name  # not a path of this machine
    model.save_pretrained(folder)
    (folder / "README.md").unlink()


def make(case, folder, seed):
    torch.manual_seed(seed)
    shutil.rmtree(folder, ignore_errors=True)
    make_base(case, folder)
    base = lambda: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = add_adapter(case, base())
    parameters = model.get_nb_trainable_parameters()
    save_adapter(model, folder / "initial")
    vocab, longest = model.config.vocab_size, case.longest
    batch = random_batch(vocab, [11, longest, 7])
    # Every micro-batch reaches the longest length: transformers keeps a dynamic rope at the longest it has seen.
    lengths = [[longest, 5 + i % 7] if i % 2 else [6 + i % 5, longest, 4] for i in range(STEPS * ACCUMULATION)]
    batches = [random_batch(vocab, n) for n in lengths]

    tensors, loss = one_pass(model, batch)
    # Clipping is to bite in most steps, so its bound follows from the norms of an unclipped run.
    norms = [row["grad_norm"] for row in train(model, batches, float("inf"), case.loraplus_lr_ratio)]
    max_grad_norm = round(sorted(norms)[3], 3)
    model = PeftModel.from_pretrained(base(), folder / "initial", is_trainable=True)
    trace = train(model, batches, max_grad_norm, case.loraplus_lr_ratio)
    save_adapter(model, folder / "final")
    greedy_text = generation(model, longest)

    save_file(tensors, folder / "reference.safetensors", metadata={"format": "pt"})
    ratio = {} if case.loraplus_lr_ratio == 1 else dict(loraplus_lr_ratio=case.loraplus_lr_ratio)
    reference = dict(
        about=case.about, versions=dict(torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__),
        parameters=dict(zip(("trainable", "all"), parameters)), batch=batch, supervised_tokens=supervised(batch), loss=loss,
        training=dict(**TRAINING, **ratio, max_steps=STEPS, max_grad_norm=max_grad_norm, gradient_accumulation_steps=ACCUMULATION,
                      micro_batches=batches, trace=trace),
        greedy=greedy_text)
    text = json.dumps(reference, indent=1)
    (folder / "reference.json").write_text(collapse_numbers(text) + "\n")
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)
    clipped = sum(row["grad_norm"] > max_grad_norm for row in trace)
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(f"{case.name}: loss {loss:.4f}, {trace[0]['loss']:.4f} -> {trace[-1]['loss']:.4f}, clipped {clipped} of {STEPS}, "
          f"max |logit| {tensors['logits'].abs().max():.2f}, {size // 1024} KB")


def collapse_numbers(text):
    """Lists of numbers on one line each."""
    return re.sub(r"\[[\s\d,]+\]", lambda m: re.sub(r"\s+", "", m.group()).replace(",", ", "), text)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", help="name of one case")
    p.add_argument("--output_dir", default=Path(__file__).parents[2] / "test" / "goldens", type=Path)
    a = p.parse_args()
    torch.set_num_threads(1)
    for i, case in enumerate(CASES):
        if a.only in (None, case.name):
            make(case, a.output_dir / case.name, seed=100 + i)


if __name__ == "__main__":
    main()

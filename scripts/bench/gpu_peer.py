"""Training steps of torch + peft on a GPU: the shapes and the columns of the native tests' mode device-speed. Random weights, no network."""

import argparse
import statistics
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

RANK, WARM_UP, STEPS = 16, 2, 8
SHAPES = {
    "llama-3.2-1b": dict(vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8, head_dim=64),
    "llama-3-8b, 8 of 32 layers": dict(vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=8, num_attention_heads=32, num_key_value_heads=8, head_dim=128),
    "qwen2.5-7b, 7 of 28 layers": dict(vocab_size=152064, hidden_size=3584, intermediate_size=18944, num_hidden_layers=7, num_attention_heads=28, num_key_value_heads=4, head_dim=128),
}
TINY = {"tiny": dict(vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8)}


def measure(name, sizes, length, texts, checkpointing, device):
    on_gpu = device == "cuda"
    torch.manual_seed(1)
    config = LlamaConfig(tie_word_embeddings=True, **sizes)
    with torch.device(device):
        base = LlamaForCausalLM(config).to(torch.bfloat16)
    if checkpointing:
        base.gradient_checkpointing_enable()
        base.enable_input_require_grads()
    model = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"))
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-4, fused=True)
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds, norm = [], 0.0
    for step in range(WARM_UP + STEPS):
        ids = torch.randint(0, config.vocab_size, (texts, length), device=device)
        wait()
        start = time.perf_counter()
        model(input_ids=ids, labels=ids).loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        wait()
        if step >= WARM_UP:
            seconds.append(time.perf_counter() - start)
    rate = texts * length / statistics.median(seconds)
    where = torch.cuda.get_device_name() if on_gpu else "no GPU, torch's CPU"
    held = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if on_gpu else ""
    about = f"bf16, r {RANK}, {texts} x {length}" + (", checkpointing" if checkpointing else "")
    print(f"| {where} | torch {torch.__version__} + peft | {name} | {about} | {rate:.0f} tokens/s | | {held} | grad_norm {float(norm):.3g} |", flush=True)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--emulated", action="store_true", help="a tiny shape on torch's CPU, to try this out without a GPU")
emulated = parser.parse_args().emulated
shapes, length, device = (TINY, 24, "cpu") if emulated else (SHAPES, 2048, "cuda")
# The most important ones first: the time may end.
for texts, checkpointing in ((4, False), (1, False), (4, True)):
    for shape, sizes in shapes.items():
        if shape.startswith("qwen") and (texts, checkpointing) != (4, False):
            continue
        try:
            measure(shape, sizes, length, texts, checkpointing, device)
        except torch.OutOfMemoryError as error:
            print(f"{shape}, {texts} texts: {error}", flush=True)
        if not emulated:
            torch.cuda.empty_cache()

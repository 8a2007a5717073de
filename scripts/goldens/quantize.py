#!/usr/bin/env python3
"""Makes test/goldens/quantized: what bitsandbytes makes of tensors, and quantised folders as transformers saves them.

  python scripts/goldens/quantize.py [--output_dir test/goldens/quantized]

`tensors.safetensors`: for each case the matrix `x` and its nf4 codes and maxima (plain, and quantised once more), and its
int8 codes and row maxima. `nf4/`, `nf4-double/`, `int8/`: test/goldens/gqa-untied, quantised and saved by transformers;
`logits.safetensors` in each: those of its first batch with the dequantised weights, in fp32.
"""
import argparse
import json
import shutil
from pathlib import Path

import bitsandbytes as bnb
import bitsandbytes.functional as F
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

BASE = Path("test/goldens/gqa-untied")


def matrices():
    g = torch.Generator().manual_seed(7)
    normal = lambda *shape: torch.randn(*shape, generator=g)
    yield "usual", normal(48, 64) * 0.02
    yield "many-blocks", normal(300, 64)  # more than 256 maxima
    yield "odd", normal(3, 33)
    yield "odd-both", normal(5, 7)
    yield "one", normal(1, 1)
    yield "less-than-a-block", normal(2, 20)
    zeros = normal(4, 64)
    zeros[1] = 0
    yield "block-of-zeros", zeros
    yield "zeros", torch.zeros(2, 40)
    yield "subnormal", normal(4, 64) * 1e-40
    yield "tiny-and-huge", normal(8, 64) * torch.logspace(-30, 30, 8)[:, None]
    # Values on the borders between codes, and next to them.
    nf4 = torch.tensor(F.get_4bit_type("nf4", device="cpu").tolist())
    middles = (nf4[:-1] + nf4[1:]) / 2
    ties = torch.cat([middles, torch.nextafter(middles, torch.tensor(2.0)), torch.nextafter(middles, torch.tensor(-2.0))])
    ties = torch.cat([ties, torch.ones(64 - len(ties))]).repeat(2, 1)
    ties[1] *= 0.37
    yield "ties", ties
    half = torch.arange(64).float() - 31.5
    half[0] = 127
    yield "int8-ties", torch.stack([half, -half * 2])


def tensors():
    out = {}
    for name, x in matrices():
        put = lambda key, value: out.__setitem__(f"{name}.{key}", value.contiguous())
        put("x", x)
        q, s = F.quantize_4bit(x.clone(), blocksize=64, quant_type="nf4", compress_statistics=False)
        put("nf4", q.flatten())
        put("absmax", s.absmax)
        q, s = F.quantize_4bit(x.clone(), blocksize=64, quant_type="nf4", compress_statistics=True)
        put("nested", s.absmax.flatten())
        put("nested_absmax", s.state2.absmax)
        put("nested_offset", s.offset.reshape(1))
        codes, row_maxima, _ = F.int8_vectorwise_quant(x.half())
        put("int8", codes)
        put("SCB", row_maxima)
    return out


def dequantized(q, state):
    """By the formula: the CPU kernel of bitsandbytes 0.50 is wrong where rows are no multiple of a block."""
    absmax = state.absmax
    if state.nested:
        absmax = F.dequantize_blockwise(absmax, state.state2) + state.offset
    codes = torch.stack([q.flatten() >> 4, q.flatten() & 15], 1).flatten().long()[: state.shape.numel()]
    return (state.code[codes] * absmax.repeat_interleave(64)[: len(codes)]).reshape(state.shape)


def folder(path, config):
    model = AutoModelForCausalLM.from_pretrained(BASE, quantization_config=config, dtype=torch.float32, device_map="cpu")
    shutil.rmtree(path, ignore_errors=True)
    model.save_pretrained(path)
    plain = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    for (name, module) in model.named_modules():
        target = dict(plain.named_modules()).get(name)
        if isinstance(module, bnb.nn.Linear4bit):
            target.weight.data = dequantized(module.weight.data, module.weight.quant_state)
        elif isinstance(module, bnb.nn.Linear8bitLt):
            target.weight.data = F.int8_vectorwise_dequant(module.weight.data, module.weight.SCB).float()
    reference = json.loads((BASE / "reference.json").read_text())
    logits = [plain(torch.tensor([s])).logits[0] for s in reference["batch"]["sequences"]]
    save_file({"logits": torch.cat(logits).detach().contiguous()}, path / "logits.safetensors")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output_dir", type=Path, default=Path("test/goldens/quantized"))
    out = parser.parse_args().output_dir
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors(), out / "tensors.safetensors")
    four = dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    folder(out / "nf4", BitsAndBytesConfig(**four))
    folder(out / "nf4-double", BitsAndBytesConfig(**four, bnb_4bit_use_double_quant=True))
    folder(out / "int8", BitsAndBytesConfig(load_in_8bit=True))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes test/goldens/quantized: bitsandbytes' codes of tensors, and quantised folders as transformers saves them.

  python scripts/goldens/quantize.py [--output_dir test/goldens/quantized]

`tensors.safetensors`: for each case the matrix `x` and its nf4 codes and maxima (plain, and quantised once more), its fp4
codes, and its int8 codes and row maxima; the maxima of fp4 are those of nf4. `nf4/`, `nf4-double/`, `fp4/`, `fp4-double/`,
`int8/`: test/goldens/gqa-untied, quantised and saved by transformers; `fp4-head/`: the head, too;
`logits.safetensors` in each: those of its first batch with the dequantised weights, in fp32, and of int8 with activations
rounded as well (`rounded`: LLM.int8, as the quantised model computes it).
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
    for name, quant_type in ("ties", "nf4"), ("fp4-ties", "fp4"):
        values = torch.tensor(F.get_4bit_type(quant_type, device="cpu").tolist()).sort().values
        middles = (values[:-1] + values[1:]) / 2
        ties = torch.cat([middles, torch.nextafter(middles, torch.tensor(2.0)), torch.nextafter(middles, torch.tensor(-2.0))])
        ties = torch.cat([ties, torch.ones(64 - len(ties))]).repeat(2, 1)
        ties[1] *= 0.37
        yield name, ties
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
        q, fp4 = F.quantize_4bit(x.clone(), blocksize=64, quant_type="fp4", compress_statistics=False)
        assert torch.equal(fp4.absmax, s.absmax)
        put("fp4", q.flatten())
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
    sequences = [torch.tensor([s]) for s in reference["batch"]["sequences"]]
    of = lambda m: torch.cat([m(s).logits[0] for s in sequences]).detach().contiguous()
    rounded = {"rounded": of(model.eval())} if config.load_in_8bit else {}
    save_file({"logits": of(plain), **rounded}, path / "logits.safetensors")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output_dir", type=Path, default=Path("test/goldens/quantized"))
    out = parser.parse_args().output_dir
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors(), out / "tensors.safetensors")
    four = dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    folder(out / "nf4", BitsAndBytesConfig(**four))
    folder(out / "nf4-double", BitsAndBytesConfig(**four, bnb_4bit_use_double_quant=True))
    fp4 = dict(four, bnb_4bit_quant_type="fp4")
    folder(out / "fp4", BitsAndBytesConfig(**fp4))
    folder(out / "fp4-double", BitsAndBytesConfig(**fp4, bnb_4bit_use_double_quant=True))
    folder(out / "fp4-head", BitsAndBytesConfig(**fp4, llm_int8_skip_modules=["model.embed_tokens"]))
    folder(out / "int8", BitsAndBytesConfig(load_in_8bit=True))


if __name__ == "__main__":
    main()

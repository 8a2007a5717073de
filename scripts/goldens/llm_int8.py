#!/usr/bin/env python3
"""Makes test/native/golden_int8.inc: forward and backward passes of bitsandbytes' MatMul8bitLt on a CPU.

  python scripts/goldens/llm_int8.py [--output test/native/golden_int8.inc]
"""
import argparse
from pathlib import Path

import bitsandbytes as bnb
import bitsandbytes.functional as F
import torch

THRESHOLD = 6.0


def inputs():
    g = torch.Generator().manual_seed(11)
    normal = lambda *shape: torch.randn(*shape, generator=g)
    yield "usual", normal(5, 33), 7
    yield "one-element", normal(1, 1), 1
    some = normal(6, 40)
    some[0, 3], some[2, 3], some[4, 17] = 9.5, -7.25, -30
    yield "outliers", some, 9
    # 6 is an outlier, and so is a number that f16 rounds to 6; the next number below is none.
    edge = normal(3, 8)
    edge[0, 1], edge[1, 4], edge[2, 6] = 6.0, -5.9985, 5.99
    yield "at-the-threshold", edge, 5
    # The usual elements of a column with outliers count for their rows' maxima.
    inside = normal(4, 21) * 0.1
    inside[0, 5], inside[1, 5], inside[2, 5] = 8, 5.5, -5.75
    yield "maximum-in-an-outliers-column", inside, 6
    zeros = normal(4, 19)
    zeros[1] = 0
    zeros[2] = 0
    zeros[2, 7] = 20  # nothing but an outlier
    yield "rows-of-zeros", zeros, 6
    one = normal(1, 35)
    one[0, 30] = 11
    yield "one-token", one, 8
    yield "all-outliers", normal(2, 13).sign() * 6.5, 3
    half = torch.arange(31).float() / 2 - 7.5  # codes on ties
    half[0] = 127 / 32
    yield "ties", torch.stack([half.clamp(-3, 3.96875), half.clamp(-2, 2)]), 4
    yield "bf16", some.roll(1, 0)[:, :37].bfloat16(), 9


def case(name, x, out, g):
    w = torch.randn(out, x.shape[1], generator=g) * 0.3
    codes, maxima, _ = F.int8_vectorwise_quant(w.half())
    state = bnb.MatmulLtState()
    state.CB, state.SCB, state.threshold = codes, maxima, THRESHOLD
    state.has_fp16_weights, state.is_training = False, False
    x = x.clone().requires_grad_()
    y = bnb.matmul(x, codes, state=state, threshold=THRESHOLD)
    dy = torch.randn(y.shape, generator=g).to(y.dtype)
    y.backward(dy)
    numbers = lambda t: "{" + ", ".join(f"{v:.9g}" for v in t.detach().flatten().tolist()) + "}"
    act = {torch.float32: "f32", torch.bfloat16: "bf16"}[x.dtype]
    rows = ",\n     ".join([numbers(t) for t in (x, codes, maxima, y, dy, x.grad)])
    return f'    {{"{name}", DType::{act}, {x.shape[0]}, {x.shape[1]}, {out},\n     {rows}}},\n'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=Path("test/native/golden_int8.inc"))
    path = parser.parse_args().output
    g = torch.Generator().manual_seed(12)
    head = f"// Made by scripts/goldens/llm_int8.py with bitsandbytes {bnb.__version__}: name, act, rows, in, out; x, codes and row\n"
    head += f"// maxima of the weight; y, dy, dx. The threshold is {THRESHOLD}.\n"
    path.write_text(head + "".join(case(name, x, out, g) for name, x, out in inputs()))


if __name__ == "__main__":
    main()

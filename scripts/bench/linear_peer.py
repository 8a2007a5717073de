#!/usr/bin/env python3
"""PyTorch's linears at the shapes of lowrank_op_cases' mode "matmul": one JSON line of the median time for each.

  linear_peer.py bf16 | f32
"""
import json
import statistics
import sys
import time

import torch

TOKENS = 2048
SHAPES = [(576, 576), (576, 192), (576, 1536), (1536, 576), (576, 49152)]


def median_seconds(run):
    runs, total = [], 0.0
    run()
    while len(runs) < 5 or (len(runs) < 400 and total < 0.3):
        start = time.perf_counter()
        run()
        runs.append(time.perf_counter() - start)
        total += runs[-1]
    return statistics.median(runs)


def main():
    dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[sys.argv[1]]
    with torch.no_grad():
        for inputs, outputs in SHAPES:
            x = torch.rand(TOKENS, inputs).to(dtype)
            w = torch.rand(outputs, inputs).to(dtype)
            dy = torch.rand(TOKENS, outputs).to(dtype)
            for name, run in (("forward", lambda: torch.nn.functional.linear(x, w)), ("backward", lambda: dy @ w)):
                line = dict(linear=name, dtype=sys.argv[1], tokens=TOKENS, out=outputs, seconds=median_seconds(run))
                line["in"] = inputs
                line["torch"] = torch.__version__
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
